"""The square around a face, on the photo itself: it is dragged, taken by its corners, or put around another face.

It works with a mouse, a finger and keys. When it has come to rest, and not before, its `input` says so.
"""

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from unit.demo.i18n import Words
from unit.demo.service import Face

STYLE = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
GEOMETRY = Path(__file__).with_name("square.js").read_text(encoding="utf-8")
SCRIPT = GEOMETRY + Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
CORNERS = "".join(f'<span class="corner" data-x="{x}" data-y="{y}"></span>' for y in (-1, 1) for x in (-1, 1))


def face_box(words: Words, elem_id: str, value: dict[str, Any] | None = None) -> gr.HTML:
    """The photo with its square, a value that `faces_in` gives. Of None it shows a sentence.

    Args:
        words: the language of its labels.
        elem_id: its id on the page.
        value: what it shows at first.
    """
    text = {
        "square": words("The square around the face"),
        "hint": words(
            "Tap a face, or drag the square onto it; pull its corners to fit it. "
            "With the keyboard, arrows move it, and + and − resize it."
        ),
        "take": words("Take face {number}"),  # the script fills this place and those of the next one
        "told": words("The face: {across} % from the left, {down} % from the top, size {side} %"),
        "empty": words("Please add a photo first."),
    }
    said = {name: escape(sentence) for name, sentence in text.items()}
    template = f"""
<div class="frame">
  <div class="stage">
    <div class="clip"><img class="photo" alt=""><div class="shade"></div></div>
    <div class="faces" data-says="{said["take"]}"></div>
    <div class="square" role="application" tabindex="0" aria-label="{said["square"]}" aria-describedby="{elem_id}_hint">
      {CORNERS}
    </div>
  </div>
  <p class="said">{said["empty"]}</p>
</div>
<p class="hint" id="{elem_id}_hint">{said["hint"]}</p>
<p class="told" role="status" data-says="{said["told"]}"></p>"""
    return gr.HTML(
        value, html_template=template, css_template=STYLE, js_on_load=SCRIPT, apply_default_css=False, elem_id=elem_id
    )


def faces_in(photo: str, alt: str, of: str, face: Face, found: list[Face]) -> dict[str, Any]:
    """What a face box shows.

    Args:
        photo: a file of the photo. Gradio copies it to where it serves from.
        alt: what it shows, for those who cannot see it.
        of: which photo the faces are in, as the page knows it.
        face: where the square is.
        found: the faces that can be tapped.
    """
    file = gr.FileData(path=photo, orig_name=Path(photo).name).model_dump()
    return {"photo": file, "alt": alt, "of": of, "face": percents(face), "faces": [percents(one) for one in found]}


def percents(face: Face) -> dict[str, int]:
    """As sliders tell it."""
    return {"across": round(100 * face.across), "down": round(100 * face.down), "side": round(100 * face.side)}
