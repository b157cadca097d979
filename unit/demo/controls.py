"""The first two steps of the page: what to turn into what, and the photo with its face. All of the page goes by them.

Settings arrive as the browser sent them and are checked where they are used.
"""

from collections.abc import Callable
from typing import Any

import gradio as gr

from unit.demo import texts
from unit.demo.assets import Example, PageAssets
from unit.demo.events import for_people, only_if
from unit.demo.face_box import face_box, faces_in, percents
from unit.demo.files import saved, uploaded
from unit.demo.framed import Framed
from unit.demo.i18n import Words
from unit.demo.photo_box import photo_box
from unit.demo.service import (
    MAX_FACE,
    DemoService,
    Face,
    TranslationRequest,
    UploadedImage,
    UserError,
    brief,
    face_at,
    small,
)

# Both ways between the square on the photo and the three sliders, in the order of Controls.place.
TO_SLIDERS = "({face, of}) => [face.across, face.down, face.side, of]"
TO_SQUARE = """(shown, across, down, side) =>
    shown?.photo ? [{...shown, face: {across, down, side}}, shown.of] : [null, ""]"""

LARGE_FACE = 0.2  # of the shorter side: then the photo is of the animal, and not of the place


class Controls:
    """The controls of the first two steps, and what they ask for.

    ways: model and direction, by the values of the tiles. place, settings: controls that many handlers want, by the
    names of the parameters that they are for. Without a photo of the visitor's own, they ask for an example.
    """

    def __init__(self, service: DemoService, words: Words, assets: PageAssets):
        self.service, self.words, self.assets = service, words, assets
        self.ways = {f"{model}/{way}": (model, way) for model in service.models for way in service.directions(model)}
        self.first = next(iter(self.ways))
        self.lay_out_ways()
        self.lay_out_photo()
        self.lay_out_face()
        self.lay_out_style()
        self.asked = gr.Textbox(visible="hidden", elem_id="asked")  # what the link asks for that brought the visitor
        self.place: dict[str, Any] = {"across": self.across, "down": self.down, "side": self.side}
        self.settings: dict[str, Any] = {
            "photo": self.photo, "example": self.example, "way": self.way, **self.place, "face_of": self.face_of,
            "square": self.square, "style_image": self.style_image, "style": self.chosen_style,
        }  # fmt: skip
        self.face_parts = [self.face, *self.place.values(), self.face_of]

    def lay_out_ways(self) -> None:
        words = self.words
        gr.Markdown(words("## 1. Choose a transformation"))
        self.pictures = gr.HTML(self.assets.style(), elem_id="pictures")  # the page asks again for each visitor
        self.way = gr.Radio(
            self.way_choices(), value=self.first, label=words("What to turn into what"), show_label=False,
            container=False, elem_id="way", elem_classes=["tiles", "few" if len(self.service.models) <= 4 else "many"],
        )  # fmt: skip

    def lay_out_photo(self) -> None:
        words = self.words
        gr.Markdown(words("## 2. Bring a photo"))
        self.photo = photo_box(words, "Your photo", "photo", height=160)
        examples = self.example_choices(self.first)
        self.example = gr.Radio(
            examples, value=examples[0][1] if examples else None, label=words("Or take an example"),
            visible=bool(examples), elem_id="examples", elem_classes="tiles",
        )  # fmt: skip

    def lay_out_face(self) -> None:
        words, visible = self.words, self.service.of_faces(None)
        with gr.Accordion(words("Adjust the face"), open=False, visible=visible, elem_id="adjust") as self.adjust:
            self.face = face_box(words, "face")
            percent: dict[str, Any] = {"step": 1, "buttons": []}
            self.side = gr.Slider(10, MAX_FACE, value=100, label=words("Size of the face"), elem_id="side", **percent)
            self.across = gr.Slider(0, 100, value=50, label=words("From the left"), elem_id="across", **percent)
            self.down = gr.Slider(0, 100, value=50, label=words("From the top"), elem_id="down", **percent)
            self.square = gr.Checkbox(False, label=words("Show only the square"), elem_id="square")
            self.face_of = gr.Textbox(visible="hidden", elem_id="face_of")  # the photo that the three sliders are about

    def lay_out_style(self) -> None:
        """For models that have styles: a photo of what is to come out, whose style is followed."""
        with gr.Column(visible=self.has_styles(self.first), elem_id="style") as self.style:
            self.style_image = photo_box(self.words, "Make it look like this one", "style_image", height=140)
        self.chosen_style = gr.Textbox("", visible="hidden", elem_id="chosen_style")  # in numbers, before the example's

    # What there is to choose from, in the language of the page.

    def way_choices(self) -> list[tuple[str, str]]:
        """By what becomes what, and by the model where that does not tell it from the others."""
        directions = [direction for _, direction in self.ways.values()]
        return [
            (str(self.words.value(way)) + (f" ({model})" if directions.count(way) > 1 else ""), value)
            for value, (model, way) in self.ways.items()
        ]

    def example_choices(self, way: str) -> list[tuple[str, str]]:
        return [(self.words(example.label), example.key) for example in self.assets.of(*self.chosen(way))]

    def domains(self, way: str) -> list[tuple[str, str]]:
        return [(self.words(domain), domain) for domain in self.service.translator(self.chosen(way)[0]).domains]

    # What the settings ask for.

    def chosen(self, way: Any) -> tuple[str, str]:
        """Model and direction."""
        if way not in list(self.ways):  # what was sent may have no hash
            raise UserError(
                "The direction is {direction}: choose {directions}.", direction=brief(way), directions=[*self.ways]
            )
        return self.ways[way]

    def has_styles(self, way: Any) -> bool:
        return self.service.has_styles(self.chosen(way)[0])

    def text(self, text: str, way: Any) -> str:
        """One of the longer texts, as it is true of the model of this way."""
        return self.words(texts.OF_STYLES.get(text, text) if self.has_styles(way) else text)

    def flipped(self, way: Any) -> str:
        """The other way round."""
        model, direction = self.chosen(way)
        return next(other for other, (name, back) in self.ways.items() if name == model and back != direction)

    def example_of(self, example: Any, way: Any) -> Example | None:
        """That example, or the first if it is none of this way."""
        return self.assets.example(*self.chosen(way), example)

    def upload(self, photo: Any, example: Any, way: Any) -> UploadedImage:
        """The photo that is translated: the visitor's own, or else an example."""
        shown = None if photo else self.example_of(example, way)
        return shown.upload if shown else uploaded(photo)

    def framed(
        self, photo: Any, example: Any, way: Any, across: Any, down: Any, side: Any, face_of: Any, square: Any,
        style_image: Any = None, style: Any = "",
    ) -> Framed:  # fmt: skip
        """What the settings ask for. A face that was marked in another photo is none of this one."""
        model, direction = self.chosen(way)
        upload = self.upload(photo, example, way)
        face = face_at(across, down, side) if face_of == upload.path else None
        with_styles = self.has_styles(way)
        style_photo = uploaded(style_image) if style_image and with_styles else None
        chosen = self.service.written_style(style, model) if style and with_styles else None
        return Framed.of(self.service.request(upload, direction, model, face, style_photo, chosen), not square)

    def ways_for_faces(self, request: TranslationRequest) -> list[str]:
        """What suits a photo better, as its tile says it: nothing, unless a model of scenes was given a large face."""
        labels = {value: label for label, value in self.way_choices()}
        ways = [labels[way] for way, (model, _) in self.ways.items() if self.service.of_faces(model)]
        if not ways or request.translator.config.aligned:
            return []
        return ways if any(face.side >= LARGE_FACE for face in Face.all_found(request.upload.opened())) else []

    def if_photo(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """`fn`, run only if there is something to translate: nobody has to be told that they chose nothing yet."""

        def there(named: dict[str, Any]) -> bool:
            return bool(named["photo"]) or self.example_of(named["example"], named["way"]) is not None

        return only_if(fn, there)

    # The face.

    def settle(self, photo: Any, example: Any, way: Any) -> dict[Any, Any]:
        """Another photo or another way: its examples, of which one is chosen where the visitor has no photo."""
        shown, choices = None if photo else self.example_of(example, way), self.example_choices(way)
        return {
            self.example: gr.Radio(choices, value=shown.key if shown else None, visible=bool(choices)),
            self.style: gr.Column(visible=self.has_styles(way)),
        }

    @for_people
    def new_face(self, photo: Any, example: Any, way: Any, face_of: Any, **place: Any) -> dict[Any, Any]:
        """The first guess at the face, and whether it wants a look: where there is none, or several.

        What is wrong with a photo is told by what translates it.
        """
        of_faces = self.service.of_faces(self.chosen(way)[0])
        none = {self.face: None, self.face_of: "", self.adjust: gr.Accordion(visible=of_faces, open=False)}
        if not of_faces:
            return none
        try:
            upload = self.upload(photo, example, way)
            image = upload.opened()
            faces = [face.rounded() for face in Face.all_found(image)]
            known = face_of == upload.path
            guess = face_at(**place) if known else next(iter(faces), Face.middle(image).rounded())
        except UserError:
            return none
        sliders = {slider: percents(guess)[name] for name, slider in self.place.items()} | {self.face_of: upload.path}
        alt = self.words("Your photo, with squares around the faces")
        return {
            self.face: faces_in(saved(small(image), upload.name), alt, upload.path, guess, faces),
            self.adjust: gr.Accordion(visible=True, open=bool(photo) and len(faces) != 1),
            **({} if known else sliders),  # what the visitor has moved meanwhile stays
        }

    def on_new_place(self, redraw: Callable[[Any], None]) -> None:
        """The square and the sliders follow each other, and `redraw` gets the event in which one of them has moved."""
        sliders = list(self.place.values())
        redraw(self.face.input(None, self.face, [*sliders, self.face_of], js=TO_SLIDERS))
        for slider in sliders:
            follow = {"js": TO_SQUARE, "trigger_mode": "always_last"}
            redraw(slider.input(None, [self.face, *sliders], [self.face, self.face_of], **follow))
