"""The third step of the page: the result beside its photo, what can be done with it, and the results of this visit."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from unit.demo.before_after import WAITING, before_after, compared
from unit.demo.components import cancel_button, download_button, no_download
from unit.demo.controls import Controls
from unit.demo.events import Turns, drawing, for_people, latest, only_if, stoppable, warned
from unit.demo.files import QUICK, RUN, SOON, renamed, saved, uploaded
from unit.demo.framed import Framed
from unit.demo.service import Face, UploadedImage, UserError
from unit.demo.share import download_name, saved_comparison, saved_gif
from unit.demo.strip import History, Result, results_strip

EXAMPLE = "An example. The photo is on the left, and on the right is what the model made up."
# A result waits for another result only, and not for what else there is to be looked at.
AT_ONCE = RUN | {"concurrency_id": "result", "show_progress": "hidden"}
BOX = "3 / 2"  # the shape of the place that the result has, whatever its own is


class ResultPanel:
    """shown: all that `show` changes. early: what `until_shown` does. visit: what is put below the variations."""

    def __init__(self, controls: Controls):
        self.controls, self.words = controls, controls.words
        self.lay_out()
        self.shown = [
            self.before_after, self.note, self.download, self.full, self.full_download, self.full_status, self.reuse,
            self.undo, self.strip, self.history, self.taken,
        ]  # fmt: skip
        self.early = [self.before_after, self.download]
        self.connect()

    def lay_out(self) -> None:
        words = self.words
        gr.Markdown(words("## 3. Result"), elem_id="step_3")
        first = self.first()
        self.before_after = before_after(words, "before_after", BOX, first.get("before_after"))
        self.note = gr.Markdown(first.get("note", ""), elem_id="note")
        with gr.Row(elem_id="actions"):
            self.flip = gr.Button(words("⇄ Other way round"), min_width=120, elem_id="flip")
            self.download = download_button(words("Download"), "download", first.get("download"))
            self.reuse = gr.Button(words("Use as input"), interactive=bool(first), min_width=120, elem_id="reuse")
            self.undo = gr.Button(words("Undo"), interactive=False, min_width=90, elem_id="undo")
            self.full = gr.Button(words("Full resolution"), interactive=bool(first), min_width=120, elem_id="full")
        self.full_cancel = cancel_button(words, "full_cancel")
        self.full_status = gr.Markdown(elem_id="full_status")
        self.full_download = download_button(words("Download in full resolution"), "full_download", visible=False)
        with gr.Column(render=False, elem_id="visit") as self.visit:
            self.lay_out_taking()
            gr.Markdown(words("### Results of this visit"))
            self.strip, self.history = results_strip(words, "strip"), gr.State(History())
        self.turns, self.turn = gr.State(Turns()), gr.Number(0, visible="hidden", elem_id="turn")

    def lay_out_taking(self) -> None:
        words = self.words
        with gr.Accordion(words("Take it along"), open=False, elem_id="take"), gr.Row():
            self.side_by_side = gr.Button(
                words("Before and after as one picture"), min_width=200, elem_id="side_by_side"
            )
            self.gif = gr.Button(words("The slider as a GIF"), min_width=160, elem_id="gif")
            self.made_with = gr.Checkbox(
                False, label=words("With a line that says what made it"), container=False, min_width=200,
                elem_id="made_with",
            )  # fmt: skip
            self.taken = download_button(words("Download the file"), "taken")

    def first(self) -> dict[str, Any]:
        """What is there when the page opens: the first example, if it has been translated."""
        controls = self.controls
        pictures = self.ready(None, None, controls.first)
        if not pictures:
            return {}
        file = self.named(pictures["before"]["path"], pictures["after"]["path"], controls.first)
        return {"before_after": pictures, "download": file, "note": self.words(EXAMPLE)}

    def ready(self, photo: Any, example: Any, way: Any) -> dict[str, Any]:
        """What the slider shows of an example that has been translated; else nothing."""
        assets, shown = self.controls.assets, None if photo else self.controls.example_of(example, way)
        if shown is None or shown.key not in assets.prepared:
            return {}
        framed = assets.framed(shown)
        before, after = assets.result(framed)
        return self.pictures(before, after, framed)

    def until_shown(self, photo: Any, example: Any, way: Any) -> dict[Any, Any]:
        """While a result is on its way what was there stays. Of an example it may be there already, file and all."""
        if pictures := self.ready(photo, example, way):
            file = self.named(pictures["before"]["path"], pictures["after"]["path"], way)
            return {self.before_after: pictures, self.download: gr.DownloadButton(value=file, interactive=True)}
        if photo or self.controls.example_of(example, way):
            return {self.before_after: WAITING}
        return {self.before_after: None, self.download: no_download()}

    def connect(self) -> None:
        settings = self.controls.settings
        self.asked = {"turns": self.turns, "turn": self.turn}
        self.inputs = {"history": self.history, **self.asked, **settings}
        show_full = warned(drawing(self, self.show_full), lambda **_: {self.full_status: ""})
        stoppable(self.full.click, self.full_cancel, show_full, settings, [self.full_status, self.full_download])
        self.side_by_side.click(self.take_picture, [self.history, self.made_with], self.taken, **SOON)
        self.gif.click(self.take_gif, self.history, self.taken, **SOON)
        self.full_cancel.click(lambda: self.words("Stopped."), None, self.full_status, **QUICK)

    def redraw_on(self, listener: Any, more: dict[str, Any], wanted: Callable[[dict[str, Any]], bool]) -> Any:
        """A result when `listener` says so, an event's `then`, say, and if it is wanted by what the inputs are.

        more: inputs that only `wanted` sees. Gives the event, whose failure was one sentence.
        """
        draw = latest(only_if(self.controls.if_photo(drawing(self, self.show)), wanted, *more))
        event = listener(draw, outputs=self.shown, inputs_kwargs=self.inputs | more, **AT_ONCE)
        event.failure(self.no_results, None, self.shown, **QUICK)
        return event

    @for_people
    def show(self, history: History, **settings: Any) -> dict[str, Any]:
        """The translation."""
        framed = self.controls.framed(**settings)
        before, after = self.controls.assets.result(framed)
        note = self.says(framed, settings["photo"])
        return self.of_files(before, after, framed, history, settings, plain=True) | {"note": note}

    def of_files(
        self, before: str, after: str, framed: Framed, history: History, settings: dict[str, Any], plain: bool
    ) -> dict[str, Any]:  # fmt: skip
        """A result of this photo, which has become a file, as the newest of this visit. `plain`: without noise."""
        pictures = self.pictures(before, after, framed)
        photos = {name: settings[name] and uploaded(settings[name]).path for name in ("photo", "style_image")}
        made = settings | photos | {"pictures": pictures, "plain": plain}
        history = history.push(Result(before, after, pictures["after_alt"], made))
        return {
            "before_after": pictures,
            "download": gr.DownloadButton(value=self.named(before, after, settings["way"], plain), interactive=True),
            "full": gr.Button(interactive=self.has_full(plain, settings["way"])),
            "full_download": gr.DownloadButton(visible=False),
            "full_status": "",
            "taken": no_download(),
            "reuse": gr.Button(interactive=True),
            "undo": gr.Button(interactive=history.can_undo()),
            "strip": history.value(),
            "history": history,
        }

    def has_full(self, plain: bool, way: Any) -> bool:
        """A style is the same at every size; of noise, the full resolution would show another picture."""
        return plain or self.controls.has_styles(way)

    def pictures(self, before: str, after: str, framed: Framed) -> dict[str, Any]:
        """What the slider shows. Of a face in its photo, it begins with half of the face."""
        request = framed.request
        source, target = self.words(request.source), self.words(request.target)
        name = request.name
        alts = (
            self.words("{name}, {way}", name=name, way=source),
            self.words("{name}, {way}", name=name, way=f"{source} → {target}"),
        )
        middle = round(100 * request.face.across) if request.face and framed.put_back else None
        at = None if middle is None else min(85, max(15, middle))
        return compared(before, after, alts, (source, target), at=at)

    def says(self, framed: Framed, photo: Any) -> str:
        """One line on what is seen."""
        words, face = self.words, framed.request.face
        image = framed.request.upload.opened() if face else None
        if image and face == Face.middle(image).rounded():
            return words(
                "No face was found here, so the middle of the photo was taken. Under “Adjust the face” you can drag "
                "the square onto the face; one seen from the front works best."
            )
        if photo is None:
            return words(EXAMPLE)
        said = words("Your photo is on the left, and on the right is what the model made up.")
        if image and len(Face.all_found(image)) > 1:
            said += " " + words("There are several faces in it: under “Adjust the face” you can tap another.")
        if ways := self.controls.ways_for_faces(framed.request):
            said += " " + words("There is the face of a cat or a dog in it: {ways} is made for those.", ways=ways)
        elif not self.controls.assets.knows(framed.request):
            said += " " + words(
                "It is unlike the photos that this model has learnt from, so the result may be poor; the examples show "
                "what suits it."
            )
        return said

    @for_people
    def show_full(self, **settings: Any) -> Iterator[dict[str, Any]]:
        """The translation at the photo's own resolution, tile by tile, as a file."""
        framed = self.controls.framed(**settings)
        request = framed.request
        yield {"full_status": self.words("Reading the photo …"), "full_download": gr.DownloadButton(visible=False)}
        for step in request.full(framed.put_back):
            if isinstance(step, Image.Image):
                file = saved(step, download_name(request.name, request.target, self.words, self.words("full")))
                size = f"{step.width} × {step.height}"
            else:
                done, tiles = step
                yield {"full_status": self.words("{done} of {tiles} parts are done", done=done, tiles=tiles)}
        yield {
            "full_status": self.words("Done: {size} pixels", size=size),
            "full_download": gr.DownloadButton(value=file, visible=True, interactive=True),
        }

    @for_people
    def take_picture(self, history: History, made_with: Any) -> gr.DownloadButton:
        """Before and after side by side, as a file."""
        before, after, name = self.pair(history)
        file = saved_comparison(before, after, name, self.words if made_with else None)
        return self.file(file, "Download the picture")

    @for_people
    def take_gif(self, history: History) -> gr.DownloadButton:
        """The slider moving over both, as a file."""
        return self.file(saved_gif(*self.pair(history)), "Download the GIF")

    def pair(self, history: History) -> tuple[Image.Image, Image.Image, str]:
        """The result that is seen, its photo, and what a file of both is called."""
        result = history.current
        if result is None:
            raise UserError("Please add a photo first.")
        name = self.name(result.before, result.settings["way"], self.words("before-and-after"))
        return UploadedImage(result.before, "").opened(), UploadedImage(result.after, "").opened(), name

    def name(self, before: str, way: Any, *more: str) -> str:
        """What a file of a result is called, of which `before` is the photo."""
        model, direction = self.controls.chosen(way)
        return download_name(Path(before).stem, self.controls.service.target(direction, model), self.words, *more)

    def named(self, before: str, after: str, way: Any, plain: bool = True) -> str:
        """The file of a result, called in the language of the page; a variation by its number besides."""
        return renamed(after, self.name(before, way, *([] if plain else Path(after).stem.rpartition("-")[2:])))

    def file(self, path: str, says: str) -> gr.DownloadButton:
        return gr.DownloadButton(self.words(says), value=path, interactive=True)

    def come_back(self, history: History) -> dict[Any, Any]:
        """The result that is the current one of a history, with all that it was made with."""
        back: dict[Any, Any] = {
            self.history: history, self.strip: history.value(), self.undo: gr.Button(interactive=history.can_undo()),
        }  # fmt: skip
        if history.current is None:
            return back
        result, made = history.current, history.current.settings
        file = self.named(result.before, result.after, made["way"], made["plain"])
        return back | {
            **{part: made[name] for name, part in self.controls.settings.items()},
            self.before_after: made["pictures"],
            self.download: gr.DownloadButton(value=file, interactive=True),
            self.full: gr.Button(interactive=self.has_full(made["plain"], made["way"])),
            self.full_download: gr.DownloadButton(visible=False),
            self.full_status: "",
            self.taken: no_download(),
            self.note: "",
        }

    def no_results(self) -> dict[Any, Any]:
        """Nothing of a photo that is not there any more, or of a model that is not."""
        return {
            self.before_after: None,
            self.note: "",
            self.download: no_download(),
            self.full: gr.Button(interactive=False),
            self.full_download: gr.DownloadButton(visible=False),
            self.full_status: "",
            self.reuse: gr.Button(interactive=False),
        }
