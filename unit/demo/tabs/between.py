"""The tab "Between": the line between the latents of two photos."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from unit.demo import texts
from unit.demo.components import FRAMES, LOOK, PROGRESS, FilmPlace, filmed, pictured_examples
from unit.demo.controls import Controls
from unit.demo.events import drawing, for_people, if_given, stoppable
from unit.demo.files import QUICK, RUN, saved, uploaded
from unit.demo.photo_box import photo_box
from unit.demo.service import TranslationRequest, UserError, number
from unit.pipeline import EncodedImage


class Between:
    def __init__(self, controls: Controls, tab: gr.Tab):
        self.controls, self.words, self.tab = controls, controls.words, tab
        self.lay_out()
        self.connect()

    def lay_out(self) -> None:
        words = self.words
        domains = self.controls.domains(None)
        gr.Markdown(words(texts.BETWEEN))
        with gr.Row():
            with gr.Column(min_width=200):
                self.photo_2 = photo_box(words, "Second photo", "photo_2", height=240)
                self.lay_out_examples()
            self.between = gr.Image(
                label=words("Between"), alt_text=words("Between two photos"), elem_id="between", **LOOK
            )
        self.position = gr.Slider(
            0, 1, value=0.5, step=0.02, label=words("Position"), info=words("0: the first photo. 1: the second."),
            elem_id="position",
        )  # fmt: skip
        self.drawn_in = gr.Radio(domains, value=domains[1][1], label=words("Drawn in"), elem_id="domain")
        self.journey = FilmPlace.laid_out(
            words, "journey", "Make a film of it", "Download the film", "Film", "From one photo to the other and back"
        )

    def lay_out_examples(self) -> None:
        words, examples = self.words, self.controls.assets.seconds()
        self.example_picked = None
        with gr.Column():
            if examples:
                self.example_picked = pictured_examples(
                    [[str(example.photo)] for example in examples], [words(example.label) for example in examples],
                    [self.photo_2], words("Examples: take one of the kind you translate from"), "seconds",
                )  # fmt: skip

    def connect(self) -> None:
        photos = {"photo_2": self.photo_2, "drawn_in": self.drawn_in, **self.controls.settings}
        self.inputs = {"position": self.position, **photos}
        self.draw = drawing(self, self.show)
        # Without its photos there is nothing to complain about when something else has changed.
        now: dict[str, Any] = {
            "fn": if_given(self.draw, "photo_2", "photo"), "outputs": self.between, "inputs_kwargs": self.inputs, **RUN
        }  # fmt: skip
        changed = [self.position.input, self.drawn_in.input, self.photo_2.input, self.tab.select]
        gr.on(changed, show_progress="hidden", **now)
        if self.example_picked:
            self.example_picked.then(**now)
        show_journey = drawing(self, self.show_journey)
        stoppable(self.journey.make, self.journey.cancel, show_journey, photos, self.journey.shown)

    def redraw_on(self, listener: Any) -> None:
        """What lies between again, if it has been drawn, in the domain that is drawn in now."""
        controls = self.controls
        listener(controls.target, outputs=self.drawn_in, inputs_kwargs=controls.way, **QUICK).then(
            if_given(self.draw, "photo_2", "photo", drawn="between"), outputs=self.between,
            inputs_kwargs={"between": self.between, **self.inputs}, **RUN,
        )  # fmt: skip

    @for_people
    def show(self, position: Any, photo_2: Any, drawn_in: str, **settings: Any) -> str:
        position = number("Position", position, 0, 1)
        request, here, there, domain = self.latents(photo_2, drawn_in, **settings)
        return saved(
            request.draw(domain, here.lerp(there, position)), f"{request.name}-between-{round(100 * position)}"
        )

    @for_people
    def show_journey(
        self, photo_2: Any, drawn_in: str, progress: gr.Progress = PROGRESS, **settings: Any
    ) -> Iterator[Any]:  # fmt: skip
        """A film from one photo to the other and back."""
        request, here, there, domain = self.latents(photo_2, drawn_in, **settings)
        half = FRAMES // 2
        steps = (request.draw(domain, here.lerp(there, step / half)) for step in range(half + 1))
        yield from filmed(steps, half + 1, f"{request.name}-journey", progress, and_back=True)

    def latents(
        self, photo_2: Any, drawn_in: str, direction: str, model: str, **settings: Any
    ) -> tuple[TranslationRequest, EncodedImage, EncodedImage, str]:
        """What is drawn, the latents of both photos, and the domain to draw in."""
        if photo_2 is None:
            raise UserError("Please add a second photo.")
        controls = self.controls
        request = controls.request(direction=direction, model=model, **settings)
        here = request.latent()
        second = controls.service.request(uploaded(photo_2), controls.known(direction, model), model)
        domain = drawn_in if drawn_in in request.translator.domains else request.target
        return request, here, second.fitted(here.size), domain

    def of_model(self, model: str) -> dict[Any, Any]:
        domains = self.controls.domains(model)
        return {self.drawn_in: gr.Radio(choices=domains, value=domains[1][1])}
