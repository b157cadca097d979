"""Where a visitor puts a photo."""

from typing import Any

import gradio as gr

from unit.demo.events import if_given
from unit.demo.files import SOON, saved, uploaded
from unit.demo.i18n import Words
from unit.demo.service import UserError, small

SOURCES: dict[str, Any] = {
    "sources": ["upload", "webcam", "clipboard"],
    "type": "filepath",
    "webcam_options": gr.WebcamOptions(mirror=False),  # mirrored, it would be stored as nobody else sees it
}
# The photo, where this browser cannot show it; and the photo, shown as a picture of ours if there is one of it.
UNSHOWN = """async photo => {
    const image = new Image();
    image.src = photo?.url ?? "";
    return photo && await image.decode().then(() => null, () => photo);
}"""
SHOWN = """(photo, made) =>
    photo && photo.path === made?.of ? {...photo, url: made.picture.url} : {__type__: "update"}"""


def photo_box(words: Words, text: str, elem_id: str, height: int) -> gr.Image:
    """Where a visitor puts a photo. TIFF, say, is shown by few browsers: they get a picture of it to show, while the
    photo itself stays what is drawn from.
    """
    label, ask = words(text), words("Drop a photo here, or click to choose one")
    box = gr.Image(label=label, alt_text=label, height=height, elem_id=elem_id, placeholder=ask, **SOURCES)
    made = gr.JSON(visible="hidden", elem_id=f"{elem_id}_made")
    unshown = box.input(None, box, made, js=UNSHOWN, trigger_mode="always_last")
    pictured = unshown.then(
        if_given(picture_of, "photo"), outputs=made, inputs_kwargs={"photo": made}, postprocess=False, **SOON
    )
    pictured.then(None, [box, made], box, js=SHOWN)
    return box


def picture_of(photo: Any) -> dict[str, Any] | None:
    """A small picture of a photo, to which Gradio adds its address, and the path of the photo that it is of.

    What is wrong with a photo is told by what draws it.
    """
    try:
        upload = uploaded(photo)
        picture = saved(small(upload.opened()), upload.name)
    except UserError:
        return None
    return {"of": upload.path, "picture": gr.FileData(path=picture).model_dump()}
