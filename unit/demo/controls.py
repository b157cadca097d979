"""The left side of the page: the photo and its face, the model and the direction, which all tabs draw with.

Settings arrive as the browser sent them and are checked where they are used.
"""

from typing import Any

import gradio as gr
from PIL import Image

from unit.demo.assets import PageAssets
from unit.demo.components import LOOK, pictured_examples
from unit.demo.events import for_people
from unit.demo.files import saved, uploaded
from unit.demo.i18n import Words
from unit.demo.photo_box import photo_box
from unit.demo.service import MAX_FACE, DemoService, Face, TranslationRequest, UserError, face_at, small
from unit.faces import outline


class Controls:
    """The controls of the left side, and what they ask for.

    way, place, settings: those that many handlers want, by the names of the parameters that they are for.
    """

    def __init__(self, service: DemoService, words: Words, assets: PageAssets):
        self.service, self.words, self.assets = service, words, assets
        self.photo = photo_box(words, "Your photo", "photo", height=320)
        self.lay_out_face()
        self.asked = gr.Textbox(visible="hidden", elem_id="asked")  # what the link asks for that brought the visitor
        self.examples_here = gr.Column()  # filled later: examples set things that come further down
        gr.HTML(f"<style>{assets.picker_style()}</style>", elem_id="pictures")
        self.model = gr.Radio(
            self.model_choices(), value=service.default, label=words("Model"), visible=len(service.models) > 1,
            elem_id="model", elem_classes="pictured" if assets.pictures else None,
        )  # fmt: skip
        with gr.Row(equal_height=True):
            ways = self.ways(service.default)
            self.direction = gr.Radio(ways, value=ways[0][1], label=words("Direction"), scale=3, elem_id="direction")
            self.flip = gr.Button(words("⇄ Flip"), scale=1, min_width=100, elem_id="flip")
        self.translate = gr.Button(words("Translate"), variant="primary", elem_id="translate")
        self.way: dict[str, Any] = {"direction": self.direction, "model": self.model}
        self.place: dict[str, Any] = {"across": self.across, "down": self.down, "side": self.side}
        self.settings: dict[str, Any] = {"photo": self.photo, **self.way, **self.place, "face_of": self.face_of}
        if assets.examples:
            self.lay_out_examples()
        self.face_parts = [self.face, *self.place.values(), self.face_of]

    def lay_out_face(self) -> None:
        words = self.words
        with gr.Group(visible=self.service.of_faces(None), elem_id="face_group") as self.face_group:
            self.face = gr.Image(
                label=words("Tap the middle of the face"), alt_text=words("Your photo, with a square around the face"),
                height=280, elem_id="face", **LOOK | {"buttons": []},
            )  # fmt: skip
            percent: dict[str, Any] = {"step": 1, "min_width": 90}
            self.side = gr.Slider(10, MAX_FACE, value=100, label=words("Size of the face"), elem_id="side", **percent)
            with gr.Row():
                self.across = gr.Slider(0, 100, value=50, label=words("From the left"), elem_id="across", **percent)
                self.down = gr.Slider(0, 100, value=50, label=words("From the top"), elem_id="down", **percent)
            self.put_back = gr.Checkbox(True, label=words("Put the result back into the photo"), elem_id="put_back")
            self.face_of = gr.Textbox(visible="hidden", elem_id="face_of")  # the photo that the three sliders are about

    def lay_out_examples(self) -> None:
        examples, words = self.assets.examples, self.words
        rows, labels = [list(map(str, example[:3])) for example in examples], [words(e.label) for e in examples]
        with self.examples_here:
            self.example_picked = pictured_examples(
                rows, labels, [self.photo, self.model, self.direction], words("Examples"), "examples"
            )

    # The models, in the language of the page.

    def ways(self, model: str | None) -> list[tuple[str, str]]:
        """The directions of a model, as people read them and as they are called."""
        return [(str(self.words.value(way)), way) for way in self.service.directions(model)]

    def domains(self, model: str | None) -> list[tuple[str, str]]:
        return [(self.words(domain), domain) for domain in self.service.translator(model).domains]

    def model_choices(self) -> list[tuple[str, str]]:
        """By what a model translates, and by its name where that does not tell it from the others."""
        labels = {name: " ↔ ".join(map(self.words, model.domains)) for name, model in self.service.models.items()}
        alike = {label for label in labels.values() if list(labels.values()).count(label) > 1}
        return [(f"{label} ({name})" if label in alike else label, name) for name, label in labels.items()]

    # What the settings ask for.

    def request(
        self, photo: Any, direction: str, model: str, across: Any, down: Any, side: Any, face_of: Any
    ) -> TranslationRequest:
        """What the settings ask for. A face that was marked in another photo is none of this one."""
        upload = uploaded(photo)
        face = face_at(across, down, side) if face_of == upload.path else None
        return self.service.request(upload, self.known(direction, model), model, face)

    def known(self, direction: str, model: str) -> str:
        """`direction`; or the model's first, for the moment when another model was chosen and its directions are not
        there yet."""
        directions = list(self.service.directions(model))
        return direction if direction in directions else directions[0]

    @for_people
    def target(self, direction: str, model: str) -> str:
        """The domain to draw in."""
        return self.service.target(self.known(direction, model), model)

    def of_model(self, direction: str, model: str) -> dict[Any, Any]:
        return {
            self.direction: gr.Radio(choices=self.ways(model), value=self.known(direction, model)),
            self.face_group: gr.Group(visible=self.service.of_faces(model)),
        }

    @for_people
    def flipped(self, direction: str, model: str) -> str:
        return next(way for way in self.service.directions(model) if way != self.known(direction, model))

    # The face.

    def new_face(
        self, photo: Any, model: str, across: Any, down: Any, side: Any, face_of: str
    ) -> dict[Any, Any]:  # fmt: skip
        """The first guess at the face in another photo, if the model wants one.

        What is wrong with a photo is told by what draws it.
        """
        none = {self.face: None, self.face_of: ""}
        if photo is None or not self.service.of_faces(model):
            return none
        try:
            upload = uploaded(photo)
            image = upload.opened()
            face = face_at(across, down, side) if face_of == upload.path else Face.found(image)
        except UserError:
            return none
        return {
            self.face: self.outlined(image, face),
            self.across: round(100 * face.across),
            self.down: round(100 * face.down),
            self.side: max(10, round(100 * face.side)),
            self.face_of: upload.path,
        }

    @for_people
    def tap_face(self, event: gr.SelectData, photo: Any, side: Any) -> dict[Any, Any]:
        """The square moves to where the photo was tapped."""
        if photo is None:
            return gr.skip()
        width, height = small(uploaded(photo).opened()).size
        x, y = event.index
        return self.move_face(photo, round(100 * x / width), round(100 * y / height), side)

    @for_people
    def move_face(self, photo: Any, across: Any, down: Any, side: Any) -> dict[Any, Any]:
        if photo is None:
            return gr.skip()
        upload, face = uploaded(photo), face_at(across, down, side)
        return {
            self.face: self.outlined(upload.opened(), face, marked=True),
            self.across: across,
            self.down: down,
            self.face_of: upload.path,
        }

    def outlined(self, image: Image.Image, face: Face, marked: bool = False) -> gr.Image:
        """The photo with a square around the face. `marked`: by the visitor, so that it is no guess."""
        shown = small(image)
        guess = not marked and face == Face.middle(image)
        label = "No face was found: tap the middle of it" if guess else "Tap the middle of the face"
        return gr.Image(saved(outline(shown, face.box(shown)), "face"), label=self.words(label))
