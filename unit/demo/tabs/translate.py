"""The tab "Translate": the photo in the other domain, and what survives."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
from PIL import Image

from unit.demo import texts
from unit.demo.components import LOOK, cancel_button, download_button, no_download
from unit.demo.controls import Controls
from unit.demo.events import drawing, for_people, if_given, stoppable, warned
from unit.demo.files import QUICK, RUN, saved, uploaded
from unit.demo.service import TranslationRequest
from unit.demo.visualize import difference, heat_map


class Translate:
    def __init__(self, controls: Controls):
        self.controls, self.words = controls, controls.words
        self.lay_out()
        self.shown = [
            self.before_after, self.result_in, self.result_ab, self.result_ba, self.download, self.full,
            self.full_download, self.full_status, self.reuse, self.again, self.again_heat, self.cycle, self.cycle_heat,
        ]  # fmt: skip
        self.connect()

    def lay_out(self) -> None:
        words, controls = self.words, self.controls
        self.before_after = gr.ImageSlider(
            controls.assets.results.get(controls.service.default), type="filepath", label=words("Before and after"),
            max_height=460, interactive=False, elem_id="before_after",
        )  # fmt: skip
        with gr.Row():
            self.download = download_button(words("Download the result"), "download")
            self.full = gr.Button(words("Full resolution"), interactive=False, min_width=140, elem_id="full")
            self.reuse = gr.Button(words("Use result as input"), interactive=False, min_width=140, elem_id="reuse")
        self.full_cancel = cancel_button(words, "full_cancel")
        self.full_status = gr.Markdown(elem_id="full_status")
        self.full_download = download_button(words("Download in full resolution"), "full_download", visible=False)
        look: dict[str, Any] = {"elem_classes": "small", **LOOK, "min_width": 100}  # three beside one another
        with gr.Row():
            self.result_in = gr.Image(label=words("Photo"), alt_text=words("Your photo"), elem_id="result_in", **look)
            self.result_ab, self.result_ba = (
                gr.Image(label=label, alt_text=words("Your photo, {way}", way=way), elem_id=elem_id, **look)
                for (label, way), elem_id in zip(controls.ways(None), ("result_ab", "result_ba"), strict=True)
            )
        gr.Markdown(words(texts.SURVIVES))
        self.again, self.again_heat = self.beside_difference(
            "again", "Drawn again", "Your photo drawn again in its own domain"
        )
        self.cycle, self.cycle_heat = self.beside_difference(
            "cycle", "There and back", "Your photo translated there and back"
        )

    def beside_difference(self, elem_id: str, label: str, alt: str) -> tuple[gr.Image, gr.Image]:
        words = self.words
        look: dict[str, Any] = {"elem_classes": "small", **LOOK}
        with gr.Row():
            return (
                gr.Image(label=words(label), alt_text=words(alt), elem_id=elem_id, **look),
                gr.Image(
                    label=words("Difference"), alt_text=words("Where it differs from your photo"),
                    elem_id=f"{elem_id}_heat", **look,
                ),
            )  # fmt: skip

    def connect(self) -> None:
        self.inputs = {"put_back": self.controls.put_back, **self.controls.settings}
        self.show_or_warn = warned(
            drawing(self, self.show), lambda photo, **_: self.no_results() if photo else gr.skip()
        )
        show_full = warned(drawing(self, self.show_full), lambda **_: {self.full_status: ""})
        stoppable(self.full, self.full_cancel, show_full, self.inputs, [self.full_status, self.full_download])
        self.full_cancel.click(lambda: self.words("Stopped."), None, self.full_status, **QUICK)

    def draw_on(self, listener: Any) -> Any:
        """Results when `listener` says so, a button's `click`, say; or what is missing. Gives the event."""
        return listener(self.show_or_warn, outputs=self.shown, inputs_kwargs=self.inputs, **RUN)

    def redraw_on(self, listener: Any) -> None:
        """Results when `listener` says so, an event's `then`, say, if there is a photo."""
        listener(if_given(self.show_or_warn, "photo"), outputs=self.shown, inputs_kwargs=self.inputs, **RUN)

    @for_people
    def show(self, put_back: bool, **settings: Any) -> Iterator[dict[str, Any]]:
        """The wanted translation as soon as it is there, then the other way round, then what survives."""
        request = self.controls.request(**settings)
        seen, name = request.picture(), request.name
        photo = request.whole() if put_back and request.face else None

        def finished(drawing: Image.Image) -> Image.Image:
            return request.put_back(drawing, photo) if photo else drawing

        drawing = request.draw(request.target)
        before, after = saved(photo or seen, name), saved(finished(drawing), f"{name}-{request.target}")
        wanted, opposite = self.results_of(request)
        shown: dict[str, Any] = {
            "before_after": (before, after),
            "result_in": before,
            wanted: after,
            opposite: None,  # not the one of the photo before
            "download": gr.DownloadButton(value=after, interactive=True),
            "full": gr.Button(interactive=True),
            "full_download": gr.DownloadButton(visible=False),
            "full_status": "",
            "reuse": gr.Button(interactive=False),
        }
        yield shown
        # All of it again, here and below: of what only an earlier step has shown, the browser forgets which file of the
        # server it is.
        other = finished(request.draw(request.source, request.latent(request.target)))
        shown |= {opposite: saved(other, f"{name}-{request.source}"), "reuse": gr.Button(interactive=True)}
        yield shown
        again, back = request.draw(request.source), request.there_and_back(drawing)
        source, target = self.words(request.source), self.words(request.target)
        labels = f"{source} → {source}", f"{source} → {target} → {source}"
        for picture, part, label in zip((again, back), ("again", "cycle"), labels, strict=True):
            heat = saved(heat_map(seen, picture), f"{name}-{part}-difference")
            apart = self.words("Difference: {share:.1%}", share=difference(seen, picture))
            shown[part] = gr.Image(saved(picture, f"{name}-{part}"), label=label)
            shown[f"{part}_heat"] = gr.Image(heat, label=apart)
        yield shown

    @for_people
    def show_full(self, put_back: bool, **settings: Any) -> Iterator[dict[str, Any]]:
        """The translation at the photo's own resolution, tile by tile, as a file."""
        request = self.controls.request(**settings)
        yield {"full_status": self.words("Reading the photo …"), "full_download": gr.DownloadButton(visible=False)}
        for step in request.full(put_back):
            if isinstance(step, Image.Image):
                file = saved(step, f"{request.name}-{request.target}-full")
                size = f"{step.width} × {step.height}"
            else:
                done, tiles = step
                yield {"full_status": self.words("Drawn: {done} of {tiles} tiles", done=done, tiles=tiles)}
        yield {
            "full_status": self.words("Done: {size} pixels", size=size),
            "full_download": gr.DownloadButton(value=file, visible=True, interactive=True),
        }

    @staticmethod
    def results_of(request: TranslationRequest) -> tuple[str, str]:
        """The parts that show the wanted translation and the opposite one."""
        ways = "result_ab", "result_ba"
        return ways if request.target == request.translator.domains[1] else (ways[1], ways[0])

    def of_sample(self, sample: Any, **settings: Any) -> dict[Any, Any]:
        """A sample as the result, beside a photo of the same size."""
        request = self.controls.request(**settings)
        picture, before = uploaded(sample).path, saved(request.look(), request.name)
        return {
            self.before_after: (before, picture),
            self.result_in: before,
            getattr(self, self.results_of(request)[0]): picture,
            self.download: gr.DownloadButton(value=picture, interactive=True),
            self.full: gr.Button(interactive=False),  # it would be the translation without this sample's noise
            self.full_download: gr.DownloadButton(visible=False),
            self.full_status: "",
            self.reuse: gr.Button(interactive=True),
        }

    def no_results(self) -> dict[Any, Any]:
        """Nothing of a photo that is not there any more, or of a model that is not."""
        survives = self.again, self.again_heat, self.cycle, self.cycle_heat  # called after what was drawn
        return {
            **dict.fromkeys([self.before_after, self.result_in, self.result_ab, self.result_ba]),
            **{image: gr.Image(None, label=image.label) for image in survives},  # the label it began with
            self.download: no_download(),
            self.full: gr.Button(interactive=False),
            self.full_download: gr.DownloadButton(visible=False),
            self.full_status: "",
            self.reuse: gr.Button(interactive=False),
        }

    def example(self, model: str) -> dict[Any, Any]:
        """Of what the model does, where there is no photo."""
        return self.no_results() | {self.before_after: self.controls.assets.results.get(model)}

    def of_model(self, model: str) -> dict[Any, Any]:
        """Another model's directions, and no results of the one before."""
        results = zip((self.result_ab, self.result_ba), self.controls.ways(model), strict=True)
        return self.no_results() | {
            image: gr.Image(None, label=label, alt_text=self.words("Your photo, {way}", way=way))
            for image, (label, way) in results
        }
