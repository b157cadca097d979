"""A slider over two pictures, before and after, that works with keys, a mouse, a finger and a screen reader.

Gradio's own can be moved by neither keys nor screen readers.
"""

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from unit.demo.i18n import Words

STYLE = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
ARROWS = '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M8 6l-5 6 5 6M16 6l5 6-5 6"/></svg>'
CORNERS = '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M9 4H4v5M15 4h5v5M9 20H4v-5M15 20h5v-5"/></svg>'


def before_after(words: Words, elem_id: str, box: str = "4 / 3", value: dict[str, Any] | None = None) -> gr.HTML:
    """The slider. It shows what `compared`, `photo_alone` or `WAITING` give, and None as a sentence.

    Args:
        words: the language of its labels.
        elem_id: its id on the page.
        box: the shape (CSS aspect-ratio) of the place it takes, whatever the shape of the pictures, which lie in its
            middle: so nothing on the page moves when they come.
        value: what it shows at first.
    """
    text = {
        "label": words("Before and after: how much of each is seen"),
        "says": words("{before} % before, {after} % after"),  # the script fills these places
        "before": words("Before"),
        "after": words("After"),
        "full": words("Full screen"),
        "wait": words("The result is on its way …"),
        "empty": words("The result will appear here."),
        "gone": words("This result is no longer here."),
    }
    said = {name: escape(sentence) for name, sentence in text.items()}
    template = f"""
<style>@keyframes before-after-turns {{ to {{ transform: rotate(1turn) }} }}</style>
<div class="frame" style="--box: {box}" aria-busy="false">
  <div class="stage">
    <img class="after" alt=""><img class="before" alt="">
    <span class="tag of-before" data-plain="{said["before"]}"></span>
    <span class="tag of-after" data-plain="{said["after"]}"></span>
    <div class="handle" role="slider" tabindex="0" aria-orientation="horizontal" aria-label="{said["label"]}"
      aria-valuemin="0" aria-valuemax="100" aria-valuenow="50" data-says="{said["says"]}">
      <span class="grip">{ARROWS}</span>
    </div>
  </div>
  <p class="said" data-empty="{said["empty"]}" data-gone="{said["gone"]}"></p>
  <div class="wait" role="status">{said["wait"]}</div>
  <button class="full" type="button" aria-label="{said["full"]}" title="{said["full"]}" aria-pressed="false">
    {CORNERS}
  </button>
</div>"""
    return gr.HTML(
        value, html_template=template, css_template=STYLE, js_on_load=SCRIPT, apply_default_css=False, elem_id=elem_id
    )


def compared(
    before: str, after: str, alts: tuple[str, str], names: tuple[str, str] = ("", ""), busy: bool = False,
    at: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Two pictures of one shape.

    Args:
        before, after: their files. Gradio copies those to where it serves from.
        alts: what they show, for those who cannot see them.
        names: what stands on them instead of "Before" and "After", "summer" and "winter", say.
        busy: whether another result is on its way.
        at: where the handle goes with a new photo, in percent from the left. None: it stays where it is.
    """
    first = photo_alone(before, alts[0], names[0], busy)
    return first | {"after": _file(after), "after_alt": alts[1], "after_name": names[1], "at": at}


def photo_alone(photo: str, alt: str, name: str = "", busy: bool = True) -> dict[str, Any]:
    """A photo, as long as there is no result of it."""
    return {"before": _file(photo), "before_alt": alt, "before_name": name, "busy": busy}


WAITING: dict[str, Any] = {"busy": True}  # what was there stays, and something turns on it until the next value comes


def _file(path: str) -> dict[str, Any]:
    return gr.FileData(path=path, orig_name=Path(path).name).model_dump()
