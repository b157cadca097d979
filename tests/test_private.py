"""What visitors are promised: nothing leaves the server, little stays on it, and it gives away nothing of itself.

That the page asks no other machine for anything is watched by `page` of visit.py, in each test in a browser.
"""

import contextlib
import http.client
import inspect
import io
import json
import os
import re
import select
import signal
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from pathlib import Path

import pytest
from app_server import ROOT, serve, write_photo
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image, PngImagePlugin

import app
from unit.demo.files import forget_in, kept, own_folder
from unit.pipeline import Translator

pytest_plugins = ["app_server"]
TO_WINTER = "summer → winter"
UPLOADED = {"meta": {"_type": "gradio.FileData"}}  # the mark of a file that was uploaded, which anybody can write

# Python runs a sitecustomize.py before anything else. This one notes every other machine that the process looks up or
# connects to, whatever library does it.
LISTENER = """
import os, sys

def listen(event, given):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = given[0]
    elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        host = given[1][0] if isinstance(given[1], tuple) else None  # a path is of this machine
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host not in (None, "", "localhost", "::1", "::", "0.0.0.0") and not host.startswith("127."):
        with open(os.environ["STRANGERS"], "a") as file:
            print(event, host, file=file)

sys.addaudithook(listen)
"""


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], Path]:
    """Settings that make a Python process listen to itself, and the file where it then notes other machines."""
    folder = tmp_path_factory.mktemp("listener")
    (folder / "sitecustomize.py").write_text(LISTENER)
    heard = folder / "strangers"
    heard.touch()
    return {"PYTHONPATH": str(folder), "STRANGERS": str(heard)}, heard


@pytest.fixture(scope="module")
def client(app_url: str, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(app_url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return write_photo(tmp_path / "my photo.png")


def ask(url: str, data: bytes | None = None, kind: str = "application/json") -> tuple[int, str]:
    """Status and text of the answer, whatever the status."""
    request = urllib.request.Request(url, data, {"Content-Type": kind} if data else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


def form(name: str, data: bytes) -> bytes:
    """A file as a browser sends it, between boundaries called x."""
    head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    return head.encode() + data + b"\r\n--x--\r\n"


def upload(app_url: str, name: str, data: bytes) -> str | None:
    """Where the server has put it, or None if it refused it."""
    status, answer = ask(f"{app_url}/gradio_api/upload", form(name, data), "multipart/form-data; boundary=x")
    assert status == 200 or 400 <= status < 500
    return json.loads(answer)[0] if status == 200 else None


def call_translate(app_url: str, image: dict) -> str:
    """The answer to a call with this as its photo. The Python client uploads whatever it is given; this does not."""
    call = f"{app_url}/gradio_api/call/translate"
    status, answer = ask(call, json.dumps({"data": [image, TO_WINTER, "seasons", 0, 1, 0, False]}).encode())
    if status != 200:
        return answer
    return ask(f"{call}/{json.loads(answer)['event_id']}")[1]


# ---- nothing leaves


def test_the_listener_hears(listener):
    settings, heard = listener
    code = """
import socket
for reach in (lambda: socket.getaddrinfo("name.invalid", 80), lambda: socket.gethostbyname("localhost"),
              lambda: socket.socket(type=socket.SOCK_DGRAM).connect(("192.0.2.1", 9))):
    try:
        reach()
    except OSError:
        pass
"""
    subprocess.run([sys.executable, "-c", code], env={**os.environ, **settings}, check=True)
    assert heard.read_text().splitlines() == ["socket.getaddrinfo name.invalid", "socket.connect 192.0.2.1"]
    heard.write_text("")


@pytest.mark.slow
def test_the_server_talks_to_no_other_machine(listener, checkpoints, photo, tmp_path):
    """From its start on, with the settings of somebody who has made none."""
    settings, heard = listener
    with serve(checkpoints, tmp_path, UNIT_MODELS="", HF_HUB_OFFLINE="0", **settings) as (url, _):
        assert ask(url)[0] == 200
        client = Client(url, verbose=False, download_files=tmp_path)
        client.predict(image=handle_file(photo), direction=TO_WINTER, api_name="/translate")
        client.predict(image=handle_file(photo), direction=TO_WINTER, count=2, api_name="/sample")
    assert heard.read_text() == ""


# ---- little stays


def test_uploads_and_results_are_gone_within_the_hour(checkpoints, photo, tmp_path, monkeypatch):
    """Here an hour is made to have gone by, and it looks more often."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "files"))
    assert sum(inspect.signature(forget_in).parameters[name].default for name in ("every", "older")) <= 3600
    with own_folder() as folder:
        models = {"seasons": Translator.from_pretrained(checkpoints / "seasons")}
        demo = app.build_demo(app.page_assets(models, checkpoints))
        forget_in(folder, every=0.5)

        def files() -> set[Path]:
            return {path for path in folder.rglob("*") if path.is_file()}

        examples = files()
        _, url, _ = demo.launch(prevent_thread_lock=True, server_name="127.0.0.1", quiet=True)
        try:
            client = Client(url, verbose=False, download_files=tmp_path / "downloads")
            client.predict(image=handle_file(photo), direction=TO_WINTER, api_name="/translate")
            client.predict(image=handle_file(photo), domain="summer", api_name="/reconstruct")
            given = {"image": handle_file(photo), "direction": TO_WINTER}
            client.predict(**given, count=2, api_name="/sample")
            client.predict(**given, image_2=handle_file(photo), steps=2, api_name="/interpolate")
            kept(b"a result that nobody waited for", "sample.png")
            time.sleep(1)
            assert len(files() - examples) > 5
            for path in files():
                os.utime(path, (time.time() - 3600,) * 2)
            give_up = time.monotonic() + 30
            while files() != examples and time.monotonic() < give_up:
                time.sleep(0.5)
            assert files() == examples
        finally:
            demo.close(verbose=False)
    assert list((tmp_path / "files").iterdir()) == []


@pytest.mark.slow
def test_nothing_is_left_when_the_app_ends(checkpoints, photo, tmp_path):
    """Killed it can do nothing about it, but the next one can."""
    for number, left in ((signal.SIGKILL, 1), (signal.SIGTERM, 0)):
        with serve(checkpoints, tmp_path, UNIT_MODELS="") as (url, server):
            assert not list((tmp_path / "files").rglob(photo.name))
            client = Client(url, verbose=False, download_files=tmp_path / "downloads")
            client.predict(image=handle_file(photo), direction=TO_WINTER, api_name="/translate")
            assert len(list((tmp_path / "files").rglob(photo.name))) == 1
            server.send_signal(number)
            server.wait(20)
        assert len(list((tmp_path / "files").rglob(photo.name))) == left
    assert server.returncode == 0


def test_where_a_photo_was_taken_is_in_no_result(client, tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "SECRET description"
    exif[0x010F] = "SECRET camera"
    exif.get_ifd(0x8825).update({1: "N", 2: (47.0, 22.0, 7.0), 29: "SECRET:2026"})
    path = write_photo(tmp_path / "plain.png")
    Image.open(path).save(
        tmp_path / "holiday.jpg", exif=exif, comment=b"SECRET comment", xmp=b"<x:xmpmeta>SECRET</x:xmpmeta>"
    )
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "SECRET comment")
    notes.add_itxt("XML:com.adobe.xmp", "SECRET")
    Image.open(path).save(tmp_path / "holiday.png", exif=exif, pnginfo=notes)
    for name in ("holiday.jpg", "holiday.png"):
        assert b"SECRET" in (tmp_path / name).read_bytes()
        image = handle_file(tmp_path / name)
        files = [
            client.predict(image=image, direction=TO_WINTER, api_name="/translate"),
            *client.predict(image=image, direction=TO_WINTER, count=1, api_name="/sample"),
            *client.predict(image=image, image_2=image, direction=TO_WINTER, steps=2, api_name="/interpolate"),
            client.predict(image=image, domain="summer", cycle=True, api_name="/reconstruct"),
        ]
        for file in files:
            assert b"SECRET" not in Path(file).read_bytes()
            with Image.open(file) as result:
                assert not result.getexif()
                assert not set(result.info) - {"icc_profile", "dpi"}


# ---- files of every kind


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb() -> bytes:
    """A PNG of 60000 x 60000 pixels: 3.6 GB of zeros, which its writer need not have had."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(bytes(10**7))) + png_chunk(b"IEND", b"")


def encode(image: Image.Image, kind: str, **settings) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


def colours(size: tuple[int, int] = (60, 40)) -> Image.Image:
    return Image.merge("RGB", [Image.linear_gradient("L").rotate(turn).resize(size) for turn in (0, 90, 180)])


NOT_A_PICTURE = "is not a picture this program can read: try a JPEG or PNG file."
BAD = {
    "cut.jpg": (lambda: encode(colours((300, 300)), "JPEG")[:2000], "is damaged or cut short: try another copy of it."),
    "cut.png": (lambda: encode(colours((300, 300)), "PNG")[:500], "is damaged or cut short: try another copy of it."),
    "bomb.png": (bomb, "is too large: at most 50 million pixels are taken, so make it smaller."),
    "text.jpg": (lambda: b"Not a picture.\n", NOT_A_PICTURE),
    "empty.png": (lambda: b"", "is empty."),
    "zeros.jpg": (lambda: bytes(5000), NOT_A_PICTURE),
    "drawing.svg": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', NOT_A_PICTURE),
    "page.html": (lambda: b"<html><script>alert(1)</script></html>", NOT_A_PICTURE),
    "paper.pdf": (lambda: encode(colours(), "PDF"), NOT_A_PICTURE),
    "paper.eps": (lambda: encode(colours(), "EPS"), NOT_A_PICTURE),
    "phone.heic": (lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(2000), NOT_A_PICTURE),
    "archive.png": (lambda: b"PK\x03\x04" + bytes(2000), NOT_A_PICTURE),
}
GOOD = {
    "animated.gif": lambda: encode(colours(), "GIF", save_all=True, append_images=[colours().rotate(180)]),
    "deep.png": lambda: encode(Image.new("I;16", (60, 40), 40_000), "PNG"),
    "print.jpg": lambda: encode(colours().convert("CMYK"), "JPEG"),
    "print.tif": lambda: encode(colours().convert("CMYK"), "TIFF"),
    "glass.png": lambda: encode(Image.new("RGBA", (60, 40), (200, 0, 0, 0)), "PNG"),
    "palette.png": lambda: encode(colours().convert("P"), "PNG", transparency=3),
    "bits.png": lambda: encode(colours().convert("1"), "PNG"),
    "web.webp": lambda: encode(colours(), "WEBP"),
    "jpeg named.png": lambda: encode(colours(), "JPEG"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_gets_one_sentence(client, tmp_path, name):
    make, sentence = BAD[name]
    (tmp_path / name).write_bytes(make())
    for api_name, settings in (("/translate", {"direction": TO_WINTER}), ("/reconstruct", {"domain": "summer"})):
        with pytest.raises(AppError) as error:
            client.predict(image=handle_file(tmp_path / name), **settings, api_name=api_name)
        assert str(error.value) == f"{name} {sentence}"


@pytest.mark.parametrize("name", GOOD)
def test_an_odd_file_is_drawn(client, tmp_path, name):
    (tmp_path / name).write_bytes(GOOD[name]())
    file = client.predict(image=handle_file(tmp_path / name), direction=TO_WINTER, api_name="/translate")
    with Image.open(file) as result:
        assert (result.size, result.mode) == ((60, 40), "RGB")


def test_a_very_long_photo_is_drawn(client, tmp_path):
    (tmp_path / "long.png").write_bytes(encode(colours((1, 10_000)), "PNG"))
    file = client.predict(image=handle_file(tmp_path / "long.png"), direction=TO_WINTER, api_name="/translate")
    with Image.open(file) as result:
        assert result.size == (1, 10_000)


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>.png", "../../../../evil.png", "..", "a\\..\\b.png"])
def test_a_name_is_only_a_name(app_url, name):
    """However a file is called, it lands in the folder of uploads, and its name is no code for the page."""
    path = upload(app_url, name, b"no picture")
    if path is not None:
        assert ".." not in Path(path).parts
        assert not set("<>\\") & set(path)
        answer = call_translate(app_url, {"path": path, "orig_name": name, **UPLOADED})
        assert "is not a picture this program can read" in answer
        assert "<" not in answer


# ---- nothing of the server


@pytest.fixture
def server_files(checkpoints: Path) -> list[str]:
    weights = checkpoints / "seasons" / "model.safetensors"
    assert weights.is_file()
    absolute = [
        "/etc/passwd",
        str(ROOT / "app.py"),
        str(weights),
        str(weights.with_name("config.json")),
        sys.executable,
    ]
    dotted = [
        "app.py",
        "./app.py",
        "../../../../../../etc/passwd",
        "requirements.txt",
        "checkpoints",
        ".git/config",
        "",
    ]
    return absolute + dotted + [f"/gradio_api/file={absolute[0]}", "file:///etc/passwd", "//etc/passwd"]


def test_files_of_the_server_are_not_served(app_url, server_files):
    for prefix in ("gradio_api/file=", "gradio_api/file/", "file=", "static/", "assets/", "gradio_api/stream/"):
        for path in server_files:
            for written in {path, urllib.parse.quote(path, safe=""), urllib.parse.quote(path, safe="/")}:
                status, answer = ask(f"{app_url}/{prefix}{written}")
                assert status in (400, 403, 404, 405), (prefix, written)
                assert "root:" not in answer
                assert "import" not in answer


def test_a_file_that_was_uploaded_is_opened(app_url):
    """What the next test asks for is refused because of the file, and not because of how it is asked for."""
    path = upload(app_url, "cat.png", encode(colours(), "PNG"))
    assert "event: complete" in call_translate(app_url, {"path": path, **UPLOADED})


@pytest.mark.parametrize("mark", [{}, UPLOADED])
def test_files_of_the_server_are_not_opened(app_url, server_files, photo, mark):
    for path in [*server_files, str(photo)]:
        answer = call_translate(app_url, {"path": path, **mark})
        assert answer.startswith("event: error"), path
        assert "This is not an uploaded picture: upload the file first." in answer, path
        assert "Traceback" not in answer
        assert not re.search(r"/\w+/", answer), answer


@pytest.mark.parametrize("path", [".", "..", "gone.png", f"{'a' * 300}.png", "a\0b.png"], ids=ascii)
def test_what_is_no_file_among_the_uploads_is_one_sentence(app_url, path):
    folder = Path(upload(app_url, "cat.png", b"no picture")).parent
    answer = call_translate(app_url, {"path": f"{folder}/{path}", **UPLOADED})
    assert re.search(r"This photo is no longer here|This is not an uploaded picture", answer)
    assert folder.name not in answer


@pytest.mark.parametrize(
    "image",
    [{"meta": None}, {"meta": "gradio.FileData"}, {"path": 7, **UPLOADED}, {"orig_name": 7, **UPLOADED}, {"url": "x"}],
    ids=str,
)
def test_what_is_no_upload_is_one_sentence(app_url, image):
    answer = call_translate(app_url, {"path": upload(app_url, "cat.png", b"no picture"), **image})
    assert "This is not an uploaded picture: upload the file first." in answer


@pytest.mark.parametrize("values", [[], [None]], ids=str)
def test_a_call_with_too_few_values_is_one_sentence(app_url, values):
    call = f"{app_url}/gradio_api/call/translate"
    event = json.loads(ask(call, json.dumps({"data": values}).encode())[1])["event_id"]
    assert f"This call takes 2 to 9 values, and {len(values)} came." in ask(f"{call}/{event}")[1]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"image": None}, "No value provided for required argument: direction"),
        ({"image": None, "direction": TO_WINTER, "heat": 1}, "`heat` is not a valid key-word argument"),
    ],
)
def test_a_call_with_wrong_names_is_one_sentence(app_url, values, sentence):
    status, answer = ask(f"{app_url}/gradio_api/call/v2/translate", json.dumps(values).encode())
    assert (status, sentence in answer) == (422, True)


@pytest.mark.parametrize("page", ["monitoring", "monitoring/summary", "monitoring/key", "gradio_api/monitoring"])
def test_there_is_no_page_about_the_visitors(app_url, page):
    assert ask(f"{app_url}/{page}")[0] in (403, 404)


def status_of_upload(app_url: str, megabytes: int) -> int:
    """Status of the answer, which is listened for while sending: the server need not wait for the end."""
    body = form("big.png", bytes(megabytes * 10**6))
    server = http.client.HTTPConnection(urllib.parse.urlsplit(app_url).netloc, timeout=60)
    with contextlib.closing(server) as connection:
        connection.putrequest("POST", "/gradio_api/upload")
        connection.putheader("Content-Type", "multipart/form-data; boundary=x")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        for start in range(0, len(body), 2**16):
            if select.select([connection.sock], [], [], 0)[0]:
                break
            with contextlib.suppress(ConnectionError):
                connection.send(body[start : start + 2**16])
        return connection.getresponse().status


def test_an_upload_is_limited(app_url):
    assert status_of_upload(app_url, 1) == 200
    assert status_of_upload(app_url, 40) == 413


@pytest.mark.parametrize(
    "name", ["nobody/nothing", "../../etc", "/etc", "../seasons", "seasons/../zoo", "https://x.invalid"]
)
def test_only_the_models_that_are_here_can_be_named(client, photo, name):
    with pytest.raises(AppError, match=r"choose .*seasons.* or .*zoo") as error:
        client.predict(image=handle_file(photo), direction=TO_WINTER, model=name, api_name="/translate")
    assert str(error.value).startswith(f"There is no model {name!r} here")


@pytest.mark.slow
def test_the_server_fetches_nothing_for_anybody(listener, checkpoints, tmp_path):
    """Gradio would: an address in place of a file, for whoever calls."""
    settings, heard = listener
    with serve(checkpoints, tmp_path, UNIT_MODELS="", **settings) as (url, _):
        for address in ("https://name.invalid/cat.png", "http://192.0.2.1/cat.png", "https://huggingface.co/cat.png"):
            for image in ({"path": address}, {"path": "cat.png", "url": address}):
                answer = call_translate(url, {**image, **UPLOADED})
                assert answer.startswith("event: error")
                assert re.search(r"fetches nothing from other machines|is not an uploaded picture", answer)
            for route in ("file", "proxy"):
                assert 400 <= ask(f"{url}/gradio_api/{route}={address}")[0] < 500
    assert heard.read_text() == ""
