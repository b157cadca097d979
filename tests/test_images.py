"""Pictures of every kind against what is known to be in them."""

import io
import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from unit import images
from unit.images import ImageError, Padded, load_image, pad_to_multiple, to_image, to_tensor

PIXELS = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 14  # no two alike, so no turn goes unseen


def pixel(image: Image.Image) -> tuple[int, ...]:
    value = image.getpixel((0, 0))
    assert isinstance(value, tuple)
    return value


@pytest.mark.parametrize("channels", [1, 3])
def test_all_values_survive_the_way_there_and_back(channels: int) -> None:
    values = np.arange(256 * channels).reshape(16, 16, channels).astype(np.uint8)
    image = Image.fromarray(values[..., 0] if channels == 1 else values)
    x = to_tensor(image, channels)
    assert x.shape == (1, channels, 16, 16)
    assert (x.min(), x.max()) == (-1, 1)
    assert to_image(x).tobytes() == image.tobytes()
    assert to_image(x[0]).tobytes() == image.tobytes()


def test_to_tensor_keeps_rows_columns_and_channels_apart() -> None:
    x = to_tensor(Image.fromarray(PIXELS), 3)
    np.testing.assert_allclose(x[0].permute(1, 2, 0).numpy(), PIXELS / 127.5 - 1, atol=1e-6)


def test_to_image_clamps_rounds_and_never_stretches() -> None:
    x = torch.tensor([-3.0, -1.0, 0.5 / 127.5 - 1 + 1e-4, 0.2, 0.2001, 7.0]).view(1, 1, 1, 6)
    assert list(to_image(x).tobytes()) == [0, 0, 1, 153, 153, 255]


def test_to_tensor_wants_one_or_three_channels() -> None:
    with pytest.raises(ValueError, match="channels is 4"):
        to_tensor(Image.new("RGB", (4, 4)), 4)


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, PIXELS),
        (2, PIXELS[:, ::-1]),
        (3, PIXELS[::-1, ::-1]),
        (4, PIXELS[::-1]),
        (5, PIXELS.swapaxes(0, 1)),
        (6, np.rot90(PIXELS, -1)),
        (7, PIXELS[::-1, ::-1].swapaxes(0, 1)),
        (8, np.rot90(PIXELS)),
    ],
)
def test_orientation_is_applied(orientation: int, upright: np.ndarray, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(PIXELS).save(tmp_path / "photo.png", exif=exif)
    np.testing.assert_array_equal(np.asarray(load_image(tmp_path / "photo.png")), upright)


def test_unreadable_exif_does_not_cost_the_photo(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "photo.png", exif=b"Exif\0\0no such thing")
    np.testing.assert_array_equal(np.asarray(load_image(tmp_path / "photo.png")), PIXELS)


def palette_with_a_hole() -> Image.Image:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    image.info["transparency"] = 0
    return image


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("RGBA", (1, 1), (255, 0, 0, 0)), (255, 255, 255)),
        (Image.new("RGBA", (1, 1), (255, 0, 0, 255)), (255, 0, 0)),
        (Image.new("RGBA", (1, 1), (0, 0, 0, 51)), (204, 204, 204)),
        (Image.new("LA", (1, 1), (0, 51)), (204, 204, 204)),
        (Image.new("L", (1, 1), 77), (77, 77, 77)),
        (Image.new("1", (1, 1), 1), (255, 255, 255)),
        (Image.new("CMYK", (1, 1), (0, 0, 0, 0)), (255, 255, 255)),
        (Image.new("CMYK", (1, 1), (0, 255, 255, 0)), (255, 0, 0)),
        (palette_with_a_hole(), (255, 255, 255)),
        (palette_with_a_hole().crop((1, 0, 2, 1)), (0, 0, 255)),
    ],
)
def test_every_mode_becomes_rgb_on_white(image: Image.Image, expected: tuple[int, ...]) -> None:
    rgb = load_image(image)
    assert rgb.mode == "RGB"
    assert pixel(rgb) == expected


def test_a_colour_declared_transparent_becomes_white(tmp_path: Path) -> None:
    image = Image.new("RGB", (2, 1), (10, 20, 30))
    image.putpixel((1, 0), (1, 2, 3))
    image.save(tmp_path / "logo.png", transparency=(10, 20, 30))
    assert load_image(tmp_path / "logo.png").tobytes() == bytes([255, 255, 255, 1, 2, 3])


def test_sixteen_bits_are_divided_by_257(tmp_path: Path) -> None:
    levels = np.arange(256, dtype=np.uint16).reshape(16, 16)
    Image.fromarray(levels * 257).save(tmp_path / "scan.png")
    Image.fromarray(levels * 257).save(tmp_path / "scan.tif")
    (tmp_path / "scan.pgm").write_bytes(b"P5 16 16 65535\n" + (levels * 257).astype(">u2").tobytes())
    for name in ("scan.png", "scan.tif", "scan.pgm"):
        np.testing.assert_array_equal(np.asarray(load_image(tmp_path / name))[..., 0], levels)
    dark = load_image(Image.fromarray(np.array([[0, 2570]], dtype=np.uint16)))
    assert dark.tobytes() == bytes([0] * 3 + [10] * 3)  # not stretched to what is in it


@pytest.fixture(scope="module")
def swapped() -> bytes:
    """A colour profile that is sRGB with what is red and what is green the other way round."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = data.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    for one, other in ((b"rXYZ", b"gXYZ"), (b"rTRC", b"gTRC")):
        data = data.replace(one, b"----", 1).replace(other, one, 1).replace(b"----", other, 1)
    return data


def test_colours_are_what_their_profile_says(swapped: bytes, tmp_path: Path) -> None:
    colour, meant = (200, 100, 50), (100, 200, 50)
    image = Image.new("RGB", (4, 4), colour)
    for name in ("photo.png", "photo.jpg", "photo.webp"):
        image.save(tmp_path / name, icc_profile=swapped, quality=100, subsampling=0)
        np.testing.assert_allclose(pixel(load_image(tmp_path / name)), meant, atol=3)
    clear = Image.new("RGBA", (4, 4), (*colour, 0))
    clear.paste((*colour, 255), (0, 0, 2, 2))
    clear.save(tmp_path / "clear.png", icc_profile=swapped)
    photo = load_image(tmp_path / "clear.png")
    np.testing.assert_allclose(pixel(photo), meant, atol=1)
    assert photo.getpixel((3, 3)) == (255, 255, 255)
    palette = image.convert("P", palette=Image.Palette.ADAPTIVE)
    palette.save(tmp_path / "palette.png", icc_profile=swapped)
    np.testing.assert_allclose(pixel(load_image(tmp_path / "palette.png")), meant, atol=1)


@pytest.mark.parametrize("profile", [b"no profile", b"", "sRGB", "swapped, of a grey picture"])
def test_a_profile_that_says_nothing_new_changes_nothing(profile: bytes | str, swapped: bytes, tmp_path: Path) -> None:
    mode, colour = ("L", 90) if profile == "swapped, of a grey picture" else ("RGB", (200, 100, 50))
    if isinstance(profile, str):
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() if mode == "RGB" else swapped
    Image.new(mode, (4, 4), colour).save(tmp_path / "photo.png", icc_profile=profile)
    assert pixel(load_image(tmp_path / "photo.png")) == ((90,) * 3 if mode == "L" else colour)


@pytest.mark.parametrize("called", ["sRGB mine", "mine"])
def test_a_profile_is_judged_by_its_content_and_not_by_its_name(called: str, swapped: bytes, tmp_path: Path) -> None:
    """Reverse of the usual: sRGB under another name changes nothing, another profile that is called sRGB does."""
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    name, other = "sRGB".encode("utf-16-be"), "mine".encode("utf-16-be")
    image = Image.new("RGB", (4, 4), (200, 100, 50))
    if called == "mine":
        image.save(tmp_path / "photo.png", icc_profile=plain.replace(name, other))
        assert pixel(load_image(tmp_path / "photo.png")) == (200, 100, 50)
    else:
        image.save(tmp_path / "photo.png", icc_profile=swapped.replace("swap".encode("utf-16-be"), name))
        np.testing.assert_allclose(pixel(load_image(tmp_path / "photo.png")), (100, 200, 50), atol=1)


def exif_of(*entries: bytes, extra: bytes = b"") -> bytes:
    """EXIF with orientation 6 and other entries, little-endian."""
    turned = struct.pack("<HHI", 0x112, 3, 1) + struct.pack("<HH", 6, 0)
    body = struct.pack("<H", 1 + len(entries)) + turned + b"".join(entries) + struct.pack("<I", 0)
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + body + extra


@pytest.mark.parametrize("odd", ["none", "a shutter of -1 / 0", "below the sea"])
def test_metadata_that_cannot_be_written_back_does_not_cost_the_orientation(odd: str, tmp_path: Path) -> None:
    after = 8 + 2 + 24 + 4  # where what does not fit into an entry lies
    exif = {
        "none": exif_of(),
        "a shutter of -1 / 0": exif_of(struct.pack("<HHII", 0x9201, 10, 1, after), extra=struct.pack("<ii", -1, 0)),
        "below the sea": exif_of(
            struct.pack("<HHII", 0x8825, 4, 1, after),
            extra=struct.pack("<HHHIIIii", 1, 6, 10, 1, after + 18, 0, -5, 1),
        ),
    }[odd]
    image = Image.new("RGB", (40, 20), "blue")
    image.paste("red", (0, 0, 20, 20))
    image.save(tmp_path / "phone.jpg", exif=exif, quality=95)
    upright = load_image(tmp_path / "phone.jpg")
    assert upright.size == (20, 40)
    assert upright.getpixel((10, 5))[0] > 200
    assert upright.getpixel((10, 35))[2] > 200


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    end = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + end


def test_two_megabytes_of_text_or_profile_are_no_damage(tmp_path: Path) -> None:
    text = chunk(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(b"{node} " * 300_000))
    profile = chunk(b"iCCP", b"big\0\0" + zlib.compress(bytes(2_000_000)))
    for extra in (text, profile):
        (tmp_path / "long.png").write_bytes(png(2, 1, 8, 2, bytes([0, 10, 20, 30, 40, 50, 60]), extra))
        assert load_image(tmp_path / "long.png").tobytes() == bytes([10, 20, 30, 40, 50, 60])


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_transparent_grey_of_any_depth_is_white(depth: int, tmp_path: Path) -> None:
    """Two pixels: the first is of the grey that is transparent, 1 (of 16 bits, 20000), the second black."""
    clear = 20000 if depth == 16 else 1  # of fewer bits than 8, one byte holds both pixels
    row = {8: bytes([clear % 256, 0]), 16: struct.pack(">HH", clear, 0)}.get(depth) or bytes([1 << (8 - depth)])
    trns = chunk(b"tRNS", struct.pack(">H", clear))
    (tmp_path / "grey.png").write_bytes(png(2, 1, depth, 0, b"\0" + row, trns))
    assert load_image(tmp_path / "grey.png").tobytes() == bytes([255] * 3 + [0] * 3)


@pytest.mark.parametrize("depth", [8, 16])
def test_a_transparent_colour_of_either_depth_is_white(depth: int, tmp_path: Path) -> None:
    clear, red = ((0x4012, 0x0034, 0x4012), (0xF000, 0, 0)) if depth == 16 else ((0x40, 0, 0x40), (0xF0, 0, 0))
    row = b"".join(struct.pack(">H" if depth == 16 else ">B", value) for value in (*clear, *red))
    (tmp_path / "colour.png").write_bytes(png(2, 1, depth, 2, b"\0" + row, chunk(b"tRNS", struct.pack(">3H", *clear))))
    assert load_image(tmp_path / "colour.png").tobytes() == bytes([255] * 3 + [240, 0, 0])


@pytest.mark.parametrize("bits", [8, 16])
def test_a_scan_in_which_zero_is_white_is_no_negative(bits: int, tmp_path: Path) -> None:
    values = (0, 100, 255)
    data = b"".join(struct.pack("<H" if bits == 16 else "<B", v * (257 if bits == 16 else 1)) for v in values)
    tags = [(256, 3), (257, 1), (258, bits), (259, 1), (262, 0), (273, 8), (277, 1), (278, 1), (279, len(data))]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    start = 8 + len(data) + len(data) % 2
    file = b"II*\0" + struct.pack("<I", start) + data.ljust(start - 8, b"\0") + struct.pack("<H", len(tags)) + entries
    (tmp_path / "scan.tif").write_bytes(file + struct.pack("<I", 0))
    assert load_image(tmp_path / "scan.tif").convert("L").tobytes() == bytes(255 - v for v in values)


def test_pictures_come_as_arrays_bytes_and_files_too(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    image = Image.fromarray(pixels)
    image.save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    with (tmp_path / "a.png").open("rb") as file:
        for source in (pixels, data, bytearray(data), io.BytesIO(data), file):
            assert load_image(source).tobytes() == image.tobytes()
    assert load_image(pixels[..., 0]).tobytes() == load_image(Image.fromarray(pixels[..., 0])).tobytes()
    assert load_image(pixels[..., :1]).tobytes() == load_image(pixels[..., 0]).tobytes()
    assert load_image(np.dstack([pixels, np.zeros((4, 6), np.uint8)])).tobytes() == b"\xff" * pixels.size  # unseen
    wrong = [pixels / 255, pixels[None], pixels[..., :2], np.empty((0, 3), np.uint8)]
    for source, message in [(array, "is no picture: give uint8") for array in wrong] + [
        (b"", "is empty"), (b"no picture", "is not a picture"), (7, "int is no picture"), (None, "NoneType is no"),
    ]:  # fmt: skip
        with pytest.raises(ImageError, match=message):
            load_image(source)


def test_sixteen_bit_colour_is_within_a_level(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (5, 7, 3)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    header = struct.pack(">IIBBBBB", 7, 5, 16, 2, 0, 0, 0)
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    ]
    (tmp_path / "deep.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    # A TIFF by hand: width, height, bits (at 122), raw, RGB, strip (at 128), samples, rows a strip, bytes
    tags = [(256, 1, 7), (257, 1, 5), (258, 3, 122), (259, 1, 1), (262, 1, 2), (273, 1, 128), (277, 1, 3), (278, 1, 5)]
    entries = b"".join(struct.pack(">HHII", tag, 4 if n == 1 else 3, n, v) for tag, n, v in [*tags, (279, 1, 210)])
    tiff = b"MM\0*" + struct.pack(">IH", 8, 9) + entries + struct.pack(">I3H", 0, 16, 16, 16) + values.tobytes()
    (tmp_path / "deep.tif").write_bytes(tiff)
    for name in ("deep.png", "deep.tif"):
        levels = np.asarray(load_image(tmp_path / name), dtype=float)
        assert np.abs(levels - values / 257).max() <= 1, name


def tiff(values: np.ndarray, photometric: int, kind: int, *, planes: int = 1) -> bytes:
    """A TIFF of (height, width) numbers, or of `planes` such planes one below the other. kind: 1 unsigned, 3 float."""
    bits, data = 8 * values.itemsize, values.tobytes()
    height, width = values.shape[0] // planes, values.shape[1]
    places = struct.pack(f"<{planes}I", *(8 + i * len(data) // planes for i in range(planes)))
    sizes = struct.pack(f"<{planes}I", *[len(data) // planes] * planes)
    tags = {
        256: (width,), 257: (height,), 258: (bits,) * planes, 259: (1,), 262: (photometric,), 273: places,
        277: (planes,), 278: (height,), 279: sizes, 284: (2 if planes > 1 else 1,), 339: (kind,) * planes,
    }  # fmt: skip
    start, entries, beyond = 8 + len(data), b"", b""
    for tag, value in tags.items():
        packed = value if isinstance(value, bytes) else struct.pack(f"<{len(value)}I", *value)
        count = len(packed) // 4
        if count > 1:
            packed, beyond = struct.pack("<I", start + 6 + 12 * len(tags) + len(beyond)), beyond + packed
        entries += struct.pack("<HHI", tag, 4, count) + packed
    return b"II*\0" + struct.pack("<I", start) + data + struct.pack("<H", len(tags)) + entries + bytes(4) + beyond


def test_sixteen_bit_colour_stored_plane_by_plane(tmp_path: Path) -> None:
    planes = np.array([[0, 50], [100, 150], [200, 250]], "<u2") * 257  # red, green, blue of two pixels
    (tmp_path / "planes.tif").write_bytes(tiff(planes, 2, 1, planes=3))
    assert load_image(tmp_path / "planes.tif").tobytes() == bytes([0, 100, 200, 50, 150, 250])


@pytest.mark.parametrize(
    ("values", "photometric", "kind", "expected"),
    [
        (np.array([[0, 0.4, 1]], "<f4"), 1, 3, [0, 102, 255]),
        (np.array([[0, 0.4, 1]], "<f4"), 0, 3, [255, 153, 0]),
        (np.array([[0, 102, 255]], "<u4") * (2**32 // 255), 1, 1, [0, 102, 255]),
    ],
    ids=["shares of white", "shares of black", "32 bits without a sign"],
)
def test_grey_of_32_bits_keeps_its_greys(
    values: np.ndarray, photometric: int, kind: int, expected: list[int], tmp_path: Path
) -> None:
    (tmp_path / "deep.tif").write_bytes(tiff(values, photometric, kind))
    assert list(load_image(tmp_path / "deep.tif").tobytes()[::3]) == expected


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_modes_without_a_range_are_stretched_only_if_they_must(kind: type) -> None:
    kept = Image.fromarray(np.array([[3, 100, 200]], dtype=kind))
    assert load_image(kept).tobytes()[::3] == bytes([3, 100, 200])
    stretched = Image.fromarray(np.array([[-1000, 0, 1000]], dtype=kind))
    assert load_image(stretched).tobytes()[::3] == bytes([0, 128, 255])


def test_numbers_that_are_none_become_black() -> None:
    odd = Image.fromarray(np.array([[np.nan, np.inf, -np.inf, 9]], dtype=np.float32))
    assert load_image(odd).tobytes()[::3] == bytes([0, 0, 0, 9])


def test_the_first_frame_of_an_animation(tmp_path: Path) -> None:
    first, second = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")
    first.save(tmp_path / "two.gif", save_all=True, append_images=[second])
    assert pixel(load_image(tmp_path / "two.gif")) == (255, 0, 0)


def test_a_picture_for_programs_that_know_no_animations_is_no_frame(tmp_path: Path) -> None:
    told, *frames = (Image.new("RGB", (4, 4), colour) for colour in ("black", "red", "blue"))
    told.save(tmp_path / "hidden.png", save_all=True, default_image=True, append_images=frames)
    assert pixel(load_image(tmp_path / "hidden.png")) == (255, 0, 0)


def test_where_no_frame_reaches_there_is_white(tmp_path: Path) -> None:
    Image.new("P", (2, 1)).save(tmp_path / "small.gif")
    small = bytearray((tmp_path / "small.gif").read_bytes())
    small[6:10] = struct.pack("<HH", 3, 2)  # the picture, which its frame now covers a part of
    (tmp_path / "small.gif").write_bytes(small)
    assert load_image(tmp_path / "small.gif").tobytes() == bytes([0] * 6 + [255] * 12)


@pytest.mark.parametrize(
    ("gamma", "also", "expected"),
    [(1.0, b"", 188), (0.45455, b"", 128), (1.0, b"sRGB", 128), (0.0, b"", 128)],
    ids=["linear", "as sRGB nearly is", "sRGB after all", "nonsense"],
)
@pytest.mark.parametrize(("colour", "pixels"), [(0, [128]), (2, [128] * 3), (4, [128, 255]), (6, [128] * 3 + [255])])
def test_gamma_is_heeded(
    gamma: float, also: bytes, expected: int, colour: int, pixels: list[int], tmp_path: Path
) -> None:
    """188 is what sRGB has for half the light."""
    chunks = [chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))] + [chunk(b"sRGB", b"\0")] * bool(also)
    (tmp_path / "rendered.png").write_bytes(png(1, 1, 8, colour, bytes([0, *pixels]), *chunks))
    assert pixel(load_image(tmp_path / "rendered.png")) == (expected,) * 3


def test_sixteen_bit_grey_has_the_gamma_it_says(tmp_path: Path) -> None:
    linear = chunk(b"gAMA", struct.pack(">I", 100_000))
    (tmp_path / "deep.png").write_bytes(png(1, 1, 16, 0, bytes([0, 128, 128]), linear))
    assert pixel(load_image(tmp_path / "deep.png")) == (188,) * 3


def test_what_pillow_grumbles_at_is_read_without_a_word(tmp_path: Path) -> None:
    """A part of the metadata lies beyond the end of the file, as programs leave it that copy a photo badly."""
    Image.new("RGB", (4, 4)).save(tmp_path / "odd.tif", tiffinfo={274: 6, 34665: 12345678})
    code = "from unit.images import load_image; import sys; load_image(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "odd.tif"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_but_pixels_remains(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "my house"
    exif.get_ifd(0x8825)[1] = "N"  # GPS
    Image.fromarray(PIXELS).save(tmp_path / "photo.jpg", exif=exif, comment="my house", dpi=(300, 300))
    photo = load_image(tmp_path / "photo.jpg")
    assert photo.info == {}
    assert len(photo.getexif()) == 0
    written = io.BytesIO()
    photo.save(written, "JPEG")
    assert b"my house" not in written.getvalue()
    assert b"Exif" not in written.getvalue()


def test_the_image_given_is_left_as_it_was() -> None:
    image = Image.fromarray(PIXELS)
    image.info["comment"] = "mine"
    load_image(image).putpixel((0, 0), (9, 9, 9))
    assert image.tobytes() == PIXELS.tobytes()
    assert image.info == {"comment": "mine"}


def png_of_size(width: int, height: int) -> bytes:
    """A file that says how large it is, and ends where the pixels should begin."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return start + struct.pack(">I", 1000) + b"IDAT"


def encoded(kind: str) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((40, 30), 60).convert("RGB").save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "photo.png is empty"),
        (b"# A list of things to do\n" * 9, "photo.png is not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "photo.png is not a picture"),
        (encoded("JPEG")[:600], "photo.png is damaged"),
        (encoded("PNG")[:600], "photo.png is damaged"),
        (png_of_size(10_001, 10_000), "photo.png is too large: at most 100 million"),
        (png_of_size(60_000, 60_000), "photo.png is too large"),
        (png_of_size(4, 4), "photo.png is damaged"),
    ],
    ids=["empty", "text", "postscript", "half jpeg", "half png", "large", "bomb", "no pixels"],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_bad_files_get_one_sentence_without_folders(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(content)
    with pytest.raises(ImageError, match=message) as caught:
        load_image(tmp_path / "photo.png")
    assert str(tmp_path) not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_warning_of_a_library_is_shown_of_large_photos(tmp_path: Path) -> None:
    """In a program of its own, since pytest has its own way with warnings."""
    for name, size in {"95.png": (9_500, 10_000), "105.png": (10_500, 10_000)}.items():
        (tmp_path / name).write_bytes(png_of_size(*size))
    program = """
import sys
from unit.images import ImageError, load_image
for path in sys.argv[1:]:
    try:
        load_image(path)
    except ImageError as error:
        print(error)
"""
    command = [sys.executable, "-c", program, tmp_path / "95.png", tmp_path / "105.png"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    assert run.stderr == ""
    assert run.stdout.startswith("95.png is damaged")  # it is only a header
    assert "105.png is too large: at most 100 million pixels" in run.stdout


def test_what_is_not_a_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"There is no file away.jpg"):
        load_image(tmp_path / "away.jpg")
    with pytest.raises(ImageError, match="is a folder"):
        load_image(str(tmp_path))
    with pytest.raises(ImageError, match="has no pixels"):
        load_image(Image.new("RGB", (0, 5)))
    with pytest.raises(ImageError, match="colour mode La"):
        load_image(Image.new("La", (2, 2)))


def test_too_many_pixels_are_refused_in_memory_too() -> None:
    assert load_image(Image.new("RGB", (9, 11)), max_pixels=99).size == (9, 11)
    with pytest.raises(ImageError, match="too large"):
        load_image(Image.new("RGB", (10, 10)), max_pixels=99)


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (10, 10)).save(tmp_path / "photo.png")
    monkeypatch.setattr(Image.Image, "load", None)
    with pytest.raises(ImageError, match=r"photo\.png is too large: at most 0 million pixels"):
        load_image(tmp_path / "photo.png", max_pixels=99)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about what it finds in the ruins
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_damage_anywhere_gives_a_picture_or_a_sentence(kind: str, tmp_path: Path) -> None:
    good, dice = encoded(kind), random.Random(0)
    for _ in range(60):
        bad = bytearray(good)
        for _ in range(dice.randint(1, 8)):
            bad[dice.randrange(min(len(bad), 400))] = dice.randrange(256)
        (tmp_path / "x").write_bytes(bad[: dice.randint(1, len(bad))])
        try:
            assert load_image(tmp_path / "x").mode == "RGB"
        except ImageError as error:
            assert str(error).startswith("x ")  # noqa: PT017 - a picture is as good an outcome


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (17, 16), (7, 9), (33, 64), (40, 200)])
@pytest.mark.parametrize("margin", [0, 16])
def test_padding_can_be_cut_off_again(size: tuple[int, int], margin: int) -> None:
    x = torch.rand(2, 3, *size)
    padded, window = pad_to_multiple(x, 4, margin)
    for side, grown in zip(size, padded.shape[-2:], strict=True):
        assert grown % 4 == 0
        assert 2 * margin <= grown - side <= 2 * margin + 3
    assert torch.equal(padded[(..., *window)], x)
    assert all(s.start == margin for s in window)


def test_padding_mirrors_and_where_it_cannot_repeats() -> None:
    row = torch.arange(5.0).view(1, 1, 1, 5)
    padded, _ = pad_to_multiple(row, 1, 2)
    assert padded[0, 0, 0].tolist() == [2, 1, 0, 1, 2, 3, 4, 3, 2]
    assert torch.equal(padded, padded[:, :, :1].expand_as(padded))  # one row: nothing to mirror


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (17, 16), (33, 64)])
@pytest.mark.parametrize("margin", [0, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_windows_of_a_padded_photo_are_those_of_the_padded_tensor(
    size: tuple[int, int], margin: int, channels: int
) -> None:
    image = Image.effect_noise(size, 60).convert("RGB")
    padded, crop = pad_to_multiple(to_tensor(image, channels), 4, margin)
    x = Padded(image, channels, 4, margin)
    assert x.shape == padded.shape[-2:]
    assert x.crop == crop
    height, width = x.shape
    for rows in (slice(0, height), slice(0, 1), slice(height - 3, height), slice(height // 2, height)):
        for columns in (slice(0, width), slice(0, 2), slice(width - 1, width), slice(width // 3, width // 2 + 1)):
            assert torch.equal(x[rows, columns], padded[..., rows, columns])


def test_of_a_padded_photo_only_the_window_becomes_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    converted: list[Image.Image] = []
    monkeypatch.setattr(images, "to_tensor", lambda image, channels: converted.append(image) or to_tensor(image, 3))
    x = Padded(Image.new("RGB", (4000, 3000)), 3, 4, 16)
    assert x[100:140, 2000:2020].shape == (1, 3, 40, 20)
    assert x[0:40, 0:20].shape == (1, 3, 40, 20)  # of which 16 are mirrored
    assert [image.size for image in converted] == [(20, 40), (17, 24)]


def test_heic_is_read_if_its_reader_is_installed(tmp_path):
    """As phones write it: with the place it was taken at."""
    exif = Image.Exif()
    exif.get_ifd(0x8825)[2] = (25.0, 2.0, 0.0)  # latitude
    photo = Image.new("RGB", (64, 48), "red")
    photo.paste("blue", (0, 0, 32, 48))
    photo.save(tmp_path / "phone.heic", exif=exif, quality=95)
    assert Image.open(tmp_path / "phone.heic").getexif().get_ifd(0x8825)
    image = load_image(tmp_path / "phone.heic")
    assert image.size == (64, 48)
    left, right = image.getpixel((4, 24)), image.getpixel((60, 24))
    assert left[2] > 200 > 60 > left[0]
    assert right[0] > 200 > 60 > right[2]
    assert not image.info
    assert not image.getexif()


def test_without_the_reader_heic_is_no_picture():
    code = """
import sys
sys.modules["pillow_heif"] = None  # as if it were not installed
from unit.images import FORMATS, SUFFIXES
assert "HEIF" not in FORMATS and ".heic" not in SUFFIXES and "JPEG" in FORMATS
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent.parent)
