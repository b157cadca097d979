"""What a visitor takes along: names of files, before and after in one picture, and a GIF of the slider moving."""

import io
import math
from pathlib import Path

from PIL import Image, ImageOps

from unit.demo.files import kept, plain_name
from unit.demo.i18n import Words
from unit.formats import encoded

LOOK = Path(__file__).parent / "look"
GIF_SIDE = 480  # pixels: what messengers show, and some 0.5 MB
STEPS, STEP, REST = 20, 50, 900  # pictures of one way across, and how many ms each and the two ends are shown
WHITE = 255  # its place in the palette


def download_name(photo: str, domain: str, words: Words, *more: str) -> str:
    """What the file of a result is called, without its ending: "chelsea-dog", and in Chinese "chelsea-變狗".

    Args:
        photo: the name of the photo's file, as the visitor's system has it.
        domain: what it was translated to.
        words: the language of the page.
        more: what tells it from other files of that photo, in the same language.
    """
    return "-".join((plain_name(photo), words("{domain}", domain=domain), *more))


def comparison(before: Image.Image, after: Image.Image, made_with: Words | None = None) -> Image.Image:
    """Two pictures of one size side by side.

    made_with: the language of a line below them that says what made the picture. None: there is no such line.
    """
    gap = max(2, before.width // 100)
    both = Image.new("RGB", (2 * before.width + gap, before.height), "white")
    both.paste(before, (0, 0))
    both.paste(after, (before.width + gap, 0))
    return _with_line(both, made_with) if made_with else both


def saved_comparison(before: Image.Image, after: Image.Image, name: str, made_with: Words | None = None) -> str:
    """The file of a `comparison`, called `name` and .jpg, for the browser."""
    return kept(encoded(comparison(before, after, made_with), ".jpg"), f"{name}.jpg")


def slider_gif(before: Image.Image, after: Image.Image) -> bytes:
    """A GIF in which the slider moves over two pictures of one size, there and back, for ever.

    Both pictures are dithered once, to one palette. So between two frames only a narrow column differs, which is all
    that is stored of a frame, and nothing flickers.
    """
    pair = [before.convert("RGB"), after.convert("RGB")]
    for picture in pair:
        picture.thumbnail((GIF_SIDE, GIF_SIDE))
    palette, width = _palette(pair), pair[0].width
    first, second = (picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for picture in pair)
    # The slider starts and stops gently.
    places = [(1 + math.cos(math.pi * step / STEPS)) / 2 for step in range(2 * STEPS)]
    frames = [_frame(first, second, round(place * width)) for place in places]
    lasting = [REST if step % STEPS == 0 else STEP for step in range(2 * STEPS)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=lasting, loop=0, optimize=False)
    return file.getvalue()


def saved_gif(before: Image.Image, after: Image.Image, name: str) -> str:
    """The file of a `slider_gif`, called `name` and .gif, for the browser."""
    return kept(slider_gif(before, after), f"{name}.gif")


def _palette(pair: list[Image.Image]) -> Image.Image:
    """A picture that has the palette of both, of which the last colour is white."""
    both = Image.new("RGB", (pair[0].width, 2 * pair[0].height))
    for i, picture in enumerate(pair):
        both.paste(picture, (0, i * picture.height))
    colours = both.quantize(WHITE, Image.Quantize.MEDIANCUT).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours + [0] * (3 * WHITE - len(colours)) + [255] * 3)
    return palette


def _frame(first: Image.Image, second: Image.Image, place: int) -> Image.Image:
    """`first` up to column `place`, a white line, and `second` from there on."""
    frame = second.copy()
    if place:
        frame.paste(first.crop((0, 0, place, first.height)), (0, 0))
    frame.paste(WHITE, (max(0, place - 1), 0, place + 2, first.height))
    return frame


def _with_line(picture: Image.Image, words: Words) -> Image.Image:
    """The line is a picture as well: no font with Chinese letters can be counted on."""
    height = max(20, picture.width // 40)
    with Image.open(LOOK / f"made-with.{words.language}.png") as file:
        line = ImageOps.contain(file.convert("L"), (picture.width * 9 // 10, height * 3 // 5))
    whole = Image.new("RGB", (picture.width, picture.height + height), "#1f2937")
    whole.paste(picture, (0, 0))
    place = (picture.width - line.width - height // 3, picture.height + (height - line.height) // 2)
    whole.paste("white", (max(0, place[0]), place[1]), line)
    return whole
