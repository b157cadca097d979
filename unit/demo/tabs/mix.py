"""The tab "Mix two photos": the line between the latents of two photos."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from unit.demo import texts
from unit.demo.assets import Example
from unit.demo.components import FRAMES, LOOK, PROGRESS, FilmPlace, filmed
from unit.demo.controls import Controls
from unit.demo.events import drawing, for_people, stoppable
from unit.demo.files import QUICK, RUN, saved, uploaded
from unit.demo.photo_box import photo_box
from unit.demo.service import TranslationRequest, UploadedImage, number
from unit.pipeline import EncodedImage


class Mix:
    def __init__(self, controls: Controls):
        self.controls, self.words = controls, controls.words
        self.lay_out()
        self.shown = [self.between]
        self.connect()

    def lay_out(self) -> None:
        words = self.words
        domains = self.controls.domains(self.controls.first)
        gr.Markdown(words(texts.MIX))
        with gr.Row():
            with gr.Column(scale=1, min_width=240):
                self.photo_2 = photo_box(words, "Second photo", "photo_2", height=190)
                self.example_2 = gr.Radio(
                    self.second_choices(self.controls.first), label=words("Or take an example"),
                    elem_id="seconds", elem_classes="tiles",
                )  # fmt: skip
            with gr.Column(scale=2, min_width=280):
                self.between = gr.Image(
                    label=words("Mix"), alt_text=words("A mix of both photos"), elem_id="between", **LOOK
                )  # fmt: skip
                self.position = gr.Slider(
                    0, 1, value=0.5, step=0.02, label=words("How much of the second photo"), buttons=[],
                    elem_id="position",
                )  # fmt: skip
                self.drawn_in = gr.Radio(domains, value=domains[1][1], label=words("Shown as"), elem_id="domain")
        self.journey = FilmPlace.laid_out(
            words, "journey", "Make a film of it", "Download the film", "Film", "From one photo to the other and back"
        )

    def connect(self) -> None:
        photos = {
            "photo_2": self.photo_2, "example_2": self.example_2, "drawn_in": self.drawn_in, **self.controls.settings
        }  # fmt: skip
        self.inputs = {"position": self.position, **photos}
        self.draw = self.controls.if_photo(drawing(self, self.show))
        for control in (self.position, self.drawn_in, self.photo_2, self.example_2):
            self.redraw_on(control.input)
        self.example_2.input(lambda: None, None, self.photo_2, **QUICK)
        show_film = self.controls.if_photo(drawing(self, self.show_film))
        stoppable(self.journey.make.click, self.journey.cancel, show_film, photos, self.journey.shown)

    def redraw_on(self, listener: Any) -> Any:
        return listener(
            self.draw, outputs=self.between, inputs_kwargs=self.inputs, **RUN | {"show_progress": "hidden"}
        )  # fmt: skip

    @for_people
    def show(self, position: Any, photo_2: Any, example_2: Any, drawn_in: Any, **settings: Any) -> str:
        position = number("Position", position, 0, 1)
        request, here, there, domain = self.latents(photo_2, example_2, drawn_in, **settings)
        return saved(
            request.draw(domain, here.lerp(there, position)), f"{request.name}-between-{round(100 * position)}"
        )

    @for_people
    def show_film(
        self, photo_2: Any, example_2: Any, drawn_in: Any, progress: gr.Progress = PROGRESS, **settings: Any
    ) -> Iterator[Any]:
        """A film from one photo to the other and back."""
        request, here, there, domain = self.latents(photo_2, example_2, drawn_in, **settings)
        half = FRAMES // 2
        steps = (request.draw(domain, here.lerp(there, step / half)) for step in range(half + 1))
        yield from filmed(steps, half + 1, f"{request.name}-{self.words('mix')}", progress, and_back=True)

    def latents(
        self, photo_2: Any, example_2: Any, drawn_in: Any, **settings: Any
    ) -> tuple[TranslationRequest, EncodedImage, EncodedImage, str]:
        """What is translated, the latents of both photos, and the domain to show them in."""
        request = self.controls.framed(**settings).request
        here = request.latent()
        model, direction = self.controls.chosen(settings["way"])
        photo = self.second(request, photo_2, example_2, settings["way"])
        second = self.controls.service.request(photo, direction, model)
        domain = drawn_in if drawn_in in request.translator.domains else request.target
        return request, here, second.fitted(here.size), domain

    def second(self, request: TranslationRequest, photo_2: Any, example_2: Any, way: Any) -> UploadedImage:
        """The second photo: the visitor's own, the chosen example, or else the first that is not the first photo."""
        if photo_2:
            return uploaded(photo_2)
        examples = {example.key: example for example in self.examples(way)}
        if example_2 in list(examples):
            return examples[example_2].upload
        others = (example.upload for example in examples.values() if example.upload != request.upload)
        return next(others, request.upload)

    def examples(self, way: Any) -> list[Example]:
        """Those of this way, and then those of the other way round, which may be mixed as well."""
        controls = self.controls
        return [
            example for each in (way, controls.flipped(way)) for example in controls.assets.of(*controls.chosen(each))
        ]

    def second_choices(self, way: str) -> list[tuple[str, str]]:
        return [(self.words(example.label), example.key) for example in self.examples(way)]

    def settle(self, way: Any) -> dict[Any, Any]:
        """Another photo or another way: what it is shown as, and what there is to mix it with."""
        model, direction = self.controls.chosen(way)
        target = self.controls.service.target(direction, model)
        choices = self.second_choices(way)
        return {
            self.drawn_in: gr.Radio(self.controls.domains(way), value=target),
            self.example_2: gr.Radio(choices, value=None, visible=bool(choices)),
            **self.journey.empty(),
        }
