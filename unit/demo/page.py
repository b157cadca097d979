"""The page in one language: what is on it, what it does, and which control does what."""

import contextlib
import functools
import inspect
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

import gradio as gr
from PIL import Image

from unit.demo import texts
from unit.demo.files import QUICK, RUN, SOON, kept, politely, saved, saved_film, uploaded
from unit.demo.i18n import CHINESE, ENGLISH, Words
from unit.demo.model_info import card, facts
from unit.demo.service import (
    DREAM_SIDE,
    MAX_COUNT,
    MAX_FACE,
    MAX_TEMPERATURE,
    DemoService,
    Face,
    TranslationRequest,
    UploadedImage,
    UserError,
    enough_memory,
    face_at,
    noise,
    number,
    small,
)  # fmt: skip
from unit.demo.visualize import difference, heat_map, thumbnail
from unit.demo.zerogpu import gpu
from unit.faces import outline
from unit.messages import Message
from unit.pipeline import EncodedImage, Sampling

FRAMES = 24  # of a film
PROGRESS = gr.Progress()  # as the default of a parameter, this asks Gradio for a bar
LOOK: dict[str, Any] = {"type": "filepath", "interactive": False, "buttons": ["fullscreen"], "min_width": 140}
SOURCES: dict[str, Any] = {
    "sources": ["upload", "webcam", "clipboard"],
    "type": "filepath",
    "webcam_options": gr.WebcamOptions(mirror=False),  # mirrored, it would be stored as nobody else sees it
}
GRAINS = [2**power for power in range(6)]

CSS = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
# To what is about to be drawn, if it is out of sight, as on a phone it is.
SCROLL = """photo => {
    const place = document.querySelector("#tabs").getBoundingClientRect();
    if (photo && (place.top < 0 || place.top > innerHeight / 2)) document.querySelector("#tabs").scrollIntoView();
}"""

# The photo, where this browser cannot show it; and the photo, shown as a picture of ours if there is one of it.
UNSHOWN = """async photo => {
    const image = new Image();
    image.src = photo?.url ?? "";
    return photo && await image.decode().then(() => null, () => photo);
}"""
SHOWN = """(photo, made) =>
    photo && photo.path === made?.of ? {...photo, url: made.picture.url} : {__type__: "update"}"""


class Example(NamedTuple):
    photo: Path
    model: str
    direction: str
    label: str


class PageAssets(NamedTuple):
    """What the page shows that is not of its making."""

    examples: list[Example]
    credits: str  # of the examples
    pictures: Mapping[str, str]  # thumbnails, by the names of the models
    results: Mapping[str, tuple[str, str]]  # files of an example photo and its translation, likewise
    folders: Mapping[str, Path | None]  # where cards and measures lie, by the names of the models
    notice: Message | None  # what to tell every visitor


def for_people(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of a Page whose mistakes become one sentence on it, in its language."""
    return politely(method, lambda page, *_: page.words)


class Page:
    """The page in one language: what is on it, what its handlers do, and which control calls which handler.

    Handlers that take long are generators, which Gradio stops between two yields when they are cancelled or whoever
    asked has gone.
    """

    def __init__(self, demo: gr.Blocks, service: DemoService, words: Words, assets: PageAssets):
        self.service, self.words, self.examples, self.folders = service, words, assets.examples, assets.folders
        self.results = assets.results
        gr.Navbar(main_page_name=ENGLISH.name)
        gr.Markdown(words(texts.TITLE))
        if assets.notice:
            gr.Markdown(words.message(assets.notice), elem_id="notice")
        with gr.Row():
            with gr.Column(scale=2, min_width=320, elem_id="controls"):
                self.lay_out_controls(assets.pictures)
            with gr.Column(scale=3, min_width=320), gr.Tabs(elem_id="tabs", overflow_behavior="wrap") as self.tabs:
                with gr.Tab(words("Translate"), id="translate"):
                    self.lay_out_results()
                with gr.Tab(words("Sample"), id="sample") as self.sample_tab:
                    self.lay_out_samples()
                with gr.Tab(words("Between"), id="between") as self.between_tab:
                    self.lay_out_between()
                with gr.Tab(words("Dream"), id="dream"):
                    self.lay_out_dreams()
                with gr.Tab(words("Inside"), id="inside"):
                    self.lay_out_inside()
        if assets.credits:
            with gr.Accordion(words("About the example photos"), open=False):
                gr.Markdown(assets.credits, elem_id="credits")
        self.settings = [
            self.photo, self.direction, self.model, self.across, self.down, self.side, self.face_of,
        ]  # fmt: skip
        self.connect(demo)

    # What is on it.

    def lay_out_controls(self, pictures: Mapping[str, str]) -> None:
        words, service = self.words, self.service
        self.photo = self.photo_box("Your photo", "photo", height=320)
        with gr.Group(visible=service.of_faces(None), elem_id="face_group") as self.face_group:
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
        self.asked = gr.Textbox(visible="hidden", elem_id="asked")  # what the link asks for that brought the visitor
        self.examples_here = gr.Column()  # filled later: examples set things that come further down
        gr.HTML(f"<style>{self.picker_style(pictures)}</style>", elem_id="pictures")
        self.model = gr.Radio(
            self.model_choices(), value=service.default, label=words("Model"), visible=len(service.models) > 1,
            elem_id="model", elem_classes="pictured" if pictures else None,
        )  # fmt: skip
        with gr.Row(equal_height=True):
            ways = self.ways(service.default)
            self.direction = gr.Radio(ways, value=ways[0][1], label=words("Direction"), scale=3, elem_id="direction")
            self.flip = gr.Button(words("⇄ Flip"), scale=1, min_width=100, elem_id="flip")
        self.translate = gr.Button(words("Translate"), variant="primary", elem_id="translate")

    def photo_box(self, text: str, elem_id: str, height: int) -> gr.Image:
        """Where a visitor puts a photo. TIFF, say, is shown by few browsers: they get a picture of it to show, while
        the photo itself stays what is drawn from.
        """
        label, ask = self.words(text), self.words("Drop a photo here, or click to choose one")
        box = gr.Image(label=label, alt_text=label, height=height, elem_id=elem_id, placeholder=ask, **SOURCES)
        made = gr.JSON(visible="hidden", elem_id=f"{elem_id}_made")
        unshown = box.input(None, box, made, js=UNSHOWN, trigger_mode="always_last")
        pictured = unshown.then(if_given(self.picture_of, 0), made, made, postprocess=False, **SOON)
        pictured.then(None, [box, made], box, js=SHOWN)
        return box

    def lay_out_results(self) -> None:
        words = self.words
        self.before_after = gr.ImageSlider(
            self.results.get(self.service.default), type="filepath", label=words("Before and after"), max_height=460,
            interactive=False, elem_id="before_after",
        )  # fmt: skip
        with gr.Row():
            self.download = self.download_button("Download the result", "download")
            self.full = gr.Button(words("Full resolution"), interactive=False, min_width=140, elem_id="full")
            self.reuse = gr.Button(words("Use result as input"), interactive=False, min_width=140, elem_id="reuse")
        self.full_cancel = self.cancel_button("full_cancel")
        self.full_status = gr.Markdown(elem_id="full_status")
        self.full_download = self.download_button("Download in full resolution", "full_download", visible=False)
        look: dict[str, Any] = {"elem_classes": "small", **LOOK, "min_width": 100}  # three beside one another
        with gr.Row():
            self.result_in = gr.Image(label=words("Photo"), alt_text=words("Your photo"), elem_id="result_in", **look)
            self.result_ab, self.result_ba = (
                gr.Image(label=label, alt_text=words("Your photo, {way}", way=way), elem_id=elem_id, **look)
                for (label, way), elem_id in zip(self.ways(None), ("result_ab", "result_ba"), strict=True)
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

    def lay_out_samples(self) -> None:
        words = self.words
        gr.Markdown(words(texts.SAMPLE))
        with gr.Row():
            self.temperature = gr.Slider(
                0, MAX_TEMPERATURE, value=1, step=0.1, label=words("Noise temperature"),
                info=words("0: no noise. 1: as in training."), min_width=240, elem_id="temperature",
            )  # fmt: skip
            self.count = gr.Slider(
                1, MAX_COUNT, value=4, step=1, label=words("How many"), info=words("One for each seed."), min_width=240,
                elem_id="count",
            )  # fmt: skip
        with gr.Row():
            self.grain = gr.Radio(
                GRAINS, value=8, label=words("Grain"), info=words("Side, in latent pixels, of one noise value."),
                scale=3, elem_id="grain",
            )  # fmt: skip
            self.seed, self.dice = self.seed_row("seed", "dice")
        self.sample = gr.Button(words("Sample"), variant="primary", elem_id="sample")
        self.gallery = gr.Gallery(
            columns=2, height="auto", label=words("Samples"), allow_preview=False, interactive=False,
            object_fit="contain", elem_id="gallery",
        )  # fmt: skip
        gr.Markdown(words(texts.WALK))
        self.walk, self.walk_download, self.walk_cancel, self.walk_film = self.film_place(
            "walk", ("Walk", "Download the walk", "Latent walk", "A walk around your photo")
        )

    def lay_out_between(self) -> None:
        words = self.words
        domains = self.domains(None)
        gr.Markdown(words(texts.BETWEEN))
        with gr.Row():
            with gr.Column(min_width=200):
                self.photo_2 = self.photo_box("Second photo", "photo_2", height=240)
                self.second_here = gr.Column()
            self.between = gr.Image(
                label=words("Between"), alt_text=words("Between two photos"), elem_id="between", **LOOK
            )
        self.position = gr.Slider(
            0, 1, value=0.5, step=0.02, label=words("Position"), info=words("0: the first photo. 1: the second."),
            elem_id="position",
        )  # fmt: skip
        self.drawn_in = gr.Radio(domains, value=domains[1][1], label=words("Drawn in"), elem_id="domain")
        self.journey, self.journey_download, self.journey_cancel, self.journey_film = self.film_place(
            "journey", ("Make a film of it", "Download the film", "Film", "From one photo to the other and back")
        )

    def lay_out_dreams(self) -> None:
        words = self.words
        gr.Markdown(words(texts.DREAM))
        with gr.Row():
            self.dream_temperature = gr.Slider(
                0, MAX_TEMPERATURE, value=2, step=0.1, label=words("Temperature"), min_width=240,
                elem_id="dream_temperature",
            )  # fmt: skip
            self.dream_count = gr.Slider(
                1, MAX_COUNT, value=4, step=1, label=words("Pairs"), min_width=240, elem_id="dream_count"
            )
        with gr.Row():
            self.dream_grain = gr.Radio(GRAINS, value=8, label=words("Grain"), scale=3, elem_id="dream_grain")
            self.dream_seed, self.dream_dice = self.seed_row("dream_seed", "dream_dice")
        self.dream = gr.Button(words("Dream"), variant="primary", elem_id="dream")
        self.dreams = gr.Gallery(
            columns=4, height="auto", label=words("Dreams"), interactive=False, buttons=["download", "fullscreen"],
            elem_id="dreams",
        )  # fmt: skip

    def lay_out_inside(self) -> None:
        words = self.words
        gr.Markdown(words(texts.INSIDE))
        self.about = gr.Markdown(self.about_text(None), elem_id="about")
        gr.Markdown(words(texts.LIMITS))
        with gr.Accordion(words("Where the weights come from: the model card"), open=False):
            self.card = gr.Markdown(self.card_text(None), elem_id="card")
        self.link = gr.Button(words("Make a link to these settings"), elem_id="link")
        self.link_text = gr.Textbox(
            label=words("Link"), info=words("It brings model, direction and noise, and an example photo, never yours."),
            interactive=False, buttons=["copy"], visible=False, elem_id="link_text",
        )  # fmt: skip

    def film_place(
        self, elem_id: str, labels: tuple[str, str, str, str]
    ) -> tuple[gr.Button, gr.DownloadButton, gr.Button, gr.Image]:
        """A button that makes a film, one to download it, one to stop it, and the film."""
        make, download, label, alt = labels
        with gr.Row():
            button = gr.Button(self.words(make), variant="primary", min_width=140, elem_id=elem_id)
            download_button = self.download_button(download, f"{elem_id}_download")
        cancel = self.cancel_button(f"{elem_id}_cancel")
        look: dict[str, Any] = {"alt_text": self.words(alt), "elem_id": f"{elem_id}_film", **LOOK}
        return button, download_button, cancel, gr.Image(label=self.words(label), **look)

    def download_button(self, text: str, elem_id: str, visible: bool = True) -> gr.DownloadButton:
        return gr.DownloadButton(self.words(text), interactive=False, visible=visible, min_width=140, elem_id=elem_id)

    def cancel_button(self, elem_id: str) -> gr.Button:
        return gr.Button(self.words("Cancel"), variant="stop", visible=False, elem_id=elem_id)

    def seed_row(self, seed: str, dice: str) -> tuple[gr.Number, gr.Button]:
        with gr.Column(scale=1, min_width=220), gr.Row(equal_height=True):
            return (
                gr.Number(0, precision=0, minimum=0, label=self.words("Seed"), min_width=100, scale=3, elem_id=seed),
                gr.Button(self.words("New seed"), min_width=100, scale=1, elem_id=dice),
            )

    def ways(self, name: str | None) -> list[tuple[str, str]]:
        """The directions of a model, as people read them and as they are called."""
        return [(str(self.words.value(way)), way) for way in self.service.directions(name)]

    def domains(self, name: str | None) -> list[tuple[str, str]]:
        return [(self.words(domain), domain) for domain in self.service.translator(name).domains]

    def model_choices(self) -> list[tuple[str, str]]:
        """By what a model translates, and by its name where that does not tell it from the others."""
        labels = {name: " ↔ ".join(map(self.words, model.domains)) for name, model in self.service.models.items()}
        alike = {label for label in labels.values() if list(labels.values()).count(label) > 1}
        return [(f"{label} ({name})" if label in alike else label, name) for name, label in labels.items()]

    def picker_style(self, pictures: Mapping[str, str]) -> str:
        """CSS that puts a thumbnail before the name of each model and of each example."""

        def photos(examples: list[Example]) -> list[str]:
            return [thumbnail(photo, photo) for photo in (UploadedImage(str(e.photo), "").opened() for e in examples)]

        places = {
            "#model label": list(pictures.values()),  # in the order of the models; none on ZeroGPU
            "#examples .gallery > button": photos(self.examples),
            "#seconds .gallery > button": photos(self.seconds()),
        }
        return "\n".join(
            f"{place}:nth-of-type({i}) {{ background-image: url({picture}); }}"
            for place, shown in places.items()
            for i, picture in enumerate(shown, 1)
        )

    def seconds(self) -> list[Example]:
        """The examples, each photo once: two models may show the same one."""
        photos = [example.photo.read_bytes() for example in self.examples]
        return [example for i, example in enumerate(self.examples) if photos[i] not in photos[:i]]

    def about_text(self, name: str | None) -> str:
        return facts(self.service.translator(name), self.folders[name or self.service.default], self.words)

    def card_text(self, name: str | None) -> str:
        return card(self.folders[name or self.service.default])

    # What it does. Settings arrive as the browser sent them and are checked where they are used.

    def request(
        self, photo: Any, direction: str, name: str, across: Any, down: Any, side: Any, face_of: Any
    ) -> TranslationRequest:
        """The settings of the left-hand side. A face that was marked in another photo is none of this one."""
        upload = uploaded(photo)
        face = face_at(across, down, side) if face_of == upload.path else None
        return self.service.request(upload, self.known(direction, name), name, face)

    def known(self, direction: str, name: str) -> str:
        """`direction`; or the model's first, for the moment when another model was chosen and its directions are not
        there yet."""
        directions = list(self.service.directions(name))
        return direction if direction in directions else directions[0]

    @for_people
    def show(self, put_back: bool, *settings: Any) -> Iterator[dict[str, Any]]:
        """The wanted translation as soon as it is there, then the other way round, then what survives."""
        request = self.request(*settings)
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
    def show_full(self, put_back: bool, *settings: Any) -> Iterator[dict[str, Any]]:
        """The translation at the photo's own resolution, tile by tile, as a file."""
        request = self.request(*settings)
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

    @for_people
    def draw_samples(self, count: Any, temperature: Any, grain: Any, seed: Any, *settings: Any) -> Iterator[Any]:
        """`count` draws from q(z|photo), each from a seed of its own, as (file, caption)."""
        chosen, count = noise(temperature, grain, seed), int(number("Number of samples", count, 1, MAX_COUNT))
        request = self.request(*settings)
        samples = []
        for s in range(chosen["seed"], chosen["seed"] + count):
            picture = request.draw(request.target, **chosen | {"seed": s})
            caption = self.words("seed {seed}, temperature {temperature:g}", seed=s, temperature=temperature)
            samples.append((saved(picture, f"{request.name}-{request.target}-{s}"), caption))
            yield gr.skip()
        yield samples

    @for_people
    def show_walk(
        self, temperature: Any, grain: Any, seed: Any, progress: gr.Progress = PROGRESS, *settings: Any
    ) -> Iterator[Any]:  # fmt: skip
        """A film around the photo's latent that ends where it began."""
        chosen, request = noise(temperature, grain, seed), self.request(*settings)
        steps = request.translator.walk(request.latent(), request.target, FRAMES, Sampling(**chosen))
        yield from self.filmed(steps, FRAMES, f"{request.name}-{request.target}-walk", progress)

    @for_people
    def show_between(self, position: Any, photo_2: Any, drawn_in: str, *settings: Any) -> str:
        position = number("Position", position, 0, 1)
        request, here, there, domain = self.between_latents(photo_2, drawn_in, *settings)
        return saved(
            request.draw(domain, here.lerp(there, position)), f"{request.name}-between-{round(100 * position)}"
        )

    @for_people
    def show_journey(
        self, photo_2: Any, drawn_in: str, progress: gr.Progress = PROGRESS, *settings: Any
    ) -> Iterator[Any]:  # fmt: skip
        """A film from one photo to the other and back."""
        request, here, there, domain = self.between_latents(photo_2, drawn_in, *settings)
        half = FRAMES // 2
        steps = (request.draw(domain, here.lerp(there, step / half)) for step in range(half + 1))
        yield from self.filmed(steps, half + 1, f"{request.name}-journey", progress, and_back=True)

    def filmed(
        self, steps: Iterable[Image.Image], count: int, name: str, progress: gr.Progress, and_back: bool = False
    ) -> Iterator[Any]:
        frames = []
        for frame in progress.tqdm(steps, total=count, unit="frames"):
            frames.append(frame)
            yield gr.skip()
        file = saved_film(frames + frames[-2:0:-1] * and_back, name)
        yield file, gr.DownloadButton(value=file, interactive=True)

    def between_latents(
        self, photo_2: Any, drawn_in: str, *settings: Any
    ) -> tuple[TranslationRequest, EncodedImage, EncodedImage, str]:
        _, direction, name, *_ = settings
        if photo_2 is None:
            raise UserError("Please add a second photo.")
        request = self.request(*settings)
        here = request.latent()
        there = self.service.request(uploaded(photo_2), self.known(direction, name), name).fitted(here.size)
        return request, here, there, drawn_in if drawn_in in request.translator.domains else request.target

    @for_people
    def show_dreams(self, name: str, count: Any, temperature: Any, grain: Any, seed: Any) -> list[tuple[str, str]]:
        translator, chosen = self.service.translator(name), noise(temperature, grain, seed)
        count = int(number("Number of pairs", count, 1, MAX_COUNT))
        with enough_memory():
            pairs = translator.sample(count, Sampling(**chosen), size=(DREAM_SIDE, DREAM_SIDE))
        return [
            (saved(picture, f"dream-{i}-{domain}"), f"{i}: {self.words(domain)}")
            for i, pair in enumerate(pairs, 1)
            for domain, picture in zip(translator.domains, pair, strict=True)
        ]

    @for_people
    def pick(self, event: gr.SelectData, samples: Any, *settings: Any) -> dict[Any, Any]:
        """The selected sample becomes the result, beside a photo of the same size."""
        request = self.request(*settings)
        picture, before = uploaded(samples[event.index]["image"]).path, saved(request.look(), request.name)
        return {
            self.before_after: (before, picture),
            self.result_in: before,
            getattr(self, self.results_of(request)[0]): picture,
            self.download: gr.DownloadButton(value=picture, interactive=True),
            self.full: gr.Button(interactive=False),  # it would be the translation without this sample's noise
            self.full_download: gr.DownloadButton(visible=False),
            self.full_status: "",
            self.reuse: gr.Button(interactive=True),
            self.tabs: gr.Tabs(selected="translate"),
        }

    @for_people
    def flipped(self, direction: str, name: str) -> str:
        return next(way for way in self.service.directions(name) if way != self.known(direction, name))

    @for_people
    def use_result(self, ab: Any, ba: Any, put_back: bool, direction: str, name: str) -> tuple[str, str, str]:
        """The result as the photo, to be translated back. A face that was put back is where it was marked."""
        result = ab if self.domain_now(direction, name) == self.service.translator(name).domains[1] else ba
        path = uploaded(result).path
        return path, self.flipped(direction, name), path if put_back else ""

    def no_results(self) -> dict[Any, Any]:
        """Nothing of a photo that is not there any more, or of a model that is not."""
        survives = self.again, self.again_heat, self.cycle, self.cycle_heat  # called after what was drawn
        return {
            **dict.fromkeys([self.before_after, self.result_in, self.result_ab, self.result_ba]),
            **{image: gr.Image(None, label=image.label) for image in survives},  # the label it began with
            self.download: gr.DownloadButton(value=None, interactive=False),
            self.full: gr.Button(interactive=False),
            self.full_download: gr.DownloadButton(visible=False),
            self.full_status: "",
            self.reuse: gr.Button(interactive=False),
        }

    @for_people
    def change_model(self, direction: str, name: str) -> dict[Any, Any]:
        """Another model: its directions, and no results of the one before."""
        ways, domains = self.ways(name), self.domains(name)
        results = zip((self.result_ab, self.result_ba), ways, strict=True)
        return {
            **self.no_results(),
            self.direction: gr.Radio(choices=ways, value=self.known(direction, name)),
            self.drawn_in: gr.Radio(choices=domains, value=domains[1][1]),
            self.face_group: gr.Group(visible=self.service.of_faces(name)),
            **{
                image: gr.Image(None, label=label, alt_text=self.words("Your photo, {way}", way=way))
                for image, (label, way) in results
            },
            self.about: self.about_text(name),
            self.card: self.card_text(name),
            self.link_text: gr.Textbox(visible=False),  # that one is of the settings before
        }

    @for_people
    def picture_of(self, photo: Any) -> dict[str, Any] | None:
        """A small picture of a photo, to which Gradio adds its address, and the path of the photo that it is of.

        What is wrong with a photo is told by what draws it.
        """
        try:
            upload = uploaded(photo)
            picture = saved(small(upload.opened()), upload.name)
        except UserError:
            return None
        return {"of": upload.path, "picture": gr.FileData(path=picture).model_dump()}

    @for_people
    def new_photo(
        self, photo: Any, name: str, across: Any, down: Any, side: Any, face_of: str
    ) -> dict[Any, Any]:  # fmt: skip
        """Another photo, or another model for it: the first guess at its face, and no films of the one before.

        Without a photo, an example of what the model does. What is wrong with a photo is told by what draws it.
        """
        fresh: dict[Any, Any] = {
            self.face: None,
            self.face_of: "",
            **dict.fromkeys([self.walk_film, self.journey_film]),
            **{
                button: gr.DownloadButton(value=None, interactive=False)
                for button in (self.walk_download, self.journey_download)
            },
        }
        if photo is None:
            example = {self.before_after: self.results.get(name)}
            return fresh | self.no_results() | example | {self.gallery: [], self.between: None}
        if not self.service.of_faces(name):
            return fresh
        try:
            upload = uploaded(photo)
            image = upload.opened()
            face = face_at(across, down, side) if face_of == upload.path else Face.found(image)
        except UserError:
            return fresh
        return fresh | {
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

    @for_people
    def make_link(self, photo: Any, direction: str, name: str, temperature: Any, grain: Any, seed: Any) -> gr.Textbox:
        """What follows the address of the page. Only an example photo is named: others are nobody's business."""
        examples = {example.photo.stem for example in self.examples}
        name_of_photo = uploaded(photo).name if photo else None
        query = {
            "model": name, "direction": direction, **noise(temperature, grain, seed),
            **({"photo": name_of_photo} if name_of_photo in examples else {}),
        }  # fmt: skip
        return gr.Textbox("?" + urlencode(query), visible=True)

    @for_people
    def domain_now(self, direction: str, name: str) -> str:
        return self.service.target(self.known(direction, name), name)

    @for_people
    def arrive(self, query: str) -> dict[Any, Any]:
        """What a link asks for, as far as it makes sense here."""
        asked = dict(parse_qsl(query.removeprefix("?")))
        name = asked.get("model", "")
        if name not in self.service.models:
            return gr.skip()
        wanted = {self.model: name, **self.change_model(asked.get("direction", ""), name)}
        for example in self.examples:
            if example.photo.stem.lower() == asked.get("photo", "").lower():
                wanted[self.photo] = kept(example.photo.read_bytes(), example.photo.name)  # where Gradio serves from
        plain = {"temperature": 1, "grain": 8, "seed": 0}
        for key, control in {"temperature": self.temperature, "grain": self.grain, "seed": self.seed}.items():
            with contextlib.suppress(KeyError, ValueError):  # UserError is one
                value = noise(**plain | {key: float(asked[key])})[key]
                if key != "grain" or value in GRAINS:
                    wanted[control] = value
        return wanted

    # Which control calls what.

    def connect(self, demo: gr.Blocks) -> None:
        words, settings, place = self.words, self.settings, [self.across, self.down, self.side]
        way = [self.direction, self.model]
        shown = [
            self.before_after, self.result_in, self.result_ab, self.result_ba, self.download, self.full,
            self.full_download, self.full_status, self.reuse, self.again, self.again_heat, self.cycle, self.cycle_heat,
        ]  # fmt: skip
        noise_here = [self.temperature, self.grain, self.seed]
        sampled = [self.count, *noise_here, *settings]
        between = [self.photo_2, self.drawn_in, *settings]
        dreamt = [self.model, self.dream_count, self.dream_temperature, self.dream_grain, self.dream_seed]
        chosen = [self.direction, self.drawn_in, self.face_group, *shown, self.about, self.card, self.link_text]
        face = [self.face, *place, self.face_of]
        fresh = [
            *face, *shown, self.gallery, self.between, self.walk_film, self.walk_download, self.journey_film,
            self.journey_download,
        ]  # fmt: skip

        show = warned(self.drawing(self.show), lambda _, photo, *__: self.no_results() if photo else gr.skip())
        show_full = warned(self.drawing(self.show_full), lambda *_: {self.full_status: ""})
        draw_samples, show_walk = self.drawing(self.draw_samples), self.drawing(self.show_walk)
        show_between, show_journey = self.drawing(self.show_between), self.drawing(self.show_journey)
        show_dreams = self.drawing(self.show_dreams)

        # Without its photos there is nothing to complain about when something else has changed.
        samples_again = if_given(draw_samples, 3, 4)
        between_now = if_given(show_between, 1, 3)

        def redraw(event: Any, new_photo: bool = False) -> None:
            """After another photo, direction or model: the results, and what else has been drawn."""
            if new_photo:
                event.then(None, self.photo, None, js=SCROLL)
                event = event.then(self.new_photo, [self.photo, self.model, *place, self.face_of], fresh, **QUICK)
            event.then(if_given(show, 1), [self.put_back, *settings], shown, **RUN)
            event.then(if_given(draw_samples, 0, 5, unseen=1), [self.gallery, *sampled], self.gallery, **RUN)
            event.then(self.domain_now, way, self.drawn_in, **QUICK).then(
                if_given(show_between, 0, 2, 4, unseen=1), [self.between, self.position, *between], self.between,
                **RUN,
            )  # fmt: skip

        self.translate.click(None, self.photo, None, js=SCROLL)
        self.translate.click(show, [self.put_back, *settings], shown, **RUN).success(
            if_given(draw_samples, 0, 5, unseen=1), [self.gallery, *sampled], self.gallery, **RUN
        )
        redraw(self.photo.input(None, trigger_mode="always_last"), new_photo=True)
        redraw(self.direction.input(None, trigger_mode="always_last"))
        redraw(self.flip.click(self.flipped, way, self.direction, **QUICK))
        changed = self.model.input(self.change_model, way, chosen, **QUICK)
        redraw(changed, new_photo=True)
        used = [self.result_ab, self.result_ba, self.put_back, *way]
        redraw(
            self.reuse.click(self.use_result, used, [self.photo, self.direction, self.face_of], **SOON), new_photo=True
        )
        redraw(self.face.select(self.tap_face, [self.photo, self.side], face, **SOON))
        for slider in place:
            at_once = slider.input(self.move_face, [self.photo, *place], face, trigger_mode="always_last", **SOON)
            redraw(at_once)
        redraw(self.put_back.input(None))

        self.stoppable(self.full, self.full_cancel, show_full, [self.put_back, *settings],
                              [self.full_status, self.full_download])  # fmt: skip
        self.full_cancel.click(lambda: words("Stopped."), None, self.full_status, **QUICK)

        self.sample.click(draw_samples, sampled, self.gallery, **RUN)
        moved = [self.temperature.input, self.grain.input, self.count.input, self.seed.input, self.sample_tab.select]
        gr.on(moved, samples_again, sampled, self.gallery, **RUN)
        roll = self.dice.click(lambda: random.randrange(10_000), None, self.seed, **QUICK)
        roll.then(samples_again, sampled, self.gallery, **RUN)
        self.gallery.select(self.pick, [self.gallery, *settings], [*shown, self.tabs], **SOON)
        self.stoppable(self.walk, self.walk_cancel, show_walk, [*noise_here, *settings],
                       [self.walk_film, self.walk_download])  # fmt: skip

        seen = [self.position.input, self.drawn_in.input, self.photo_2.input, self.between_tab.select]
        gr.on(seen, between_now, [self.position, *between], self.between, show_progress="hidden", **RUN)
        self.stoppable(self.journey, self.journey_cancel, show_journey, between,
                       [self.journey_film, self.journey_download])  # fmt: skip

        self.dream.click(show_dreams, dreamt, self.dreams, **RUN)
        moved = [
            slider.input for slider in (self.dream_temperature, self.dream_grain, self.dream_count, self.dream_seed)
        ]
        gr.on(moved, if_given(show_dreams, 4), dreamt, self.dreams, **RUN)
        changed.then(if_given(show_dreams, 0, 5, unseen=1), [self.dreams, *dreamt], self.dreams, **RUN)
        dream_roll = self.dream_dice.click(lambda: random.randrange(10_000), None, self.dream_seed, **QUICK)
        dream_roll.then(show_dreams, dreamt, self.dreams, **RUN)

        if self.examples:
            look: dict[str, Any] = {"cache_examples": False}  # their pictures come with picker_style
            with self.examples_here, gr.Column(elem_classes="pictured"):
                rows, labels = [list(map(str, e[:3])) for e in self.examples], [words(e.label) for e in self.examples]
                look |= {"example_labels": labels, "label": words("Examples"), "elem_id": "examples"}
                examples = gr.Examples(rows, [self.photo, self.model, self.direction], **look)
            redraw(examples.load_input_event.then(self.change_model, way, chosen, **QUICK), new_photo=True)
            with self.second_here, gr.Column(elem_classes="pictured"):
                look |= {"label": words("Examples: take one of the kind you translate from"), "elem_id": "seconds"}
                look["example_labels"] = [words(e.label) for e in self.seconds()]
                seconds = gr.Examples([[str(e.photo)] for e in self.seconds()], self.photo_2, **look)
            seconds.load_input_event.then(between_now, [self.position, *between], self.between, **RUN)

        linked = [self.photo, *way, *noise_here]
        self.link.click(self.make_link, linked, self.link_text, **SOON).then(
            None, self.link_text, self.link_text, js="query => location.origin + location.pathname + query"
        )
        demo.load(None, None, self.asked, js=f"() => ({SCRIPT})('{self.words.language}', '{CHINESE.path}')")
        asked = self.asked.change(self.arrive, self.asked, [self.model, *chosen, self.photo, *noise_here], **QUICK)
        redraw(asked, new_photo=True)

    def drawing(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        """A handler that draws, where it can: on ZeroGPU, in a process with a GPU, from which no part of the page can
        come back. So what it gives may be called by the names of the parts.
        """
        on_gpu = gpu(handler)

        def by_part(given: Any) -> Any:
            if not isinstance(given, dict) or given == gr.skip():  # which is a dict as well
                return given
            return {getattr(self, name): value for name, value in given.items()}

        @functools.wraps(handler)
        def steps(*given: Any) -> Iterator[Any]:
            yield from map(by_part, on_gpu(*given))

        return steps if inspect.isgeneratorfunction(handler) else on_gpu

    def stoppable(
        self, button: gr.Button, cancel: gr.Button, fn: Callable[..., Iterator[Any]], inputs: list[Any],
        outputs: list[Any],
    ) -> Any:  # fmt: skip
        """`button` runs `fn`, and while that runs `cancel` is there to stop it. Gives the event of the run."""
        shown = button.click(lambda: gr.Button(visible=True), None, cancel, **QUICK)
        running = shown.then(fn, inputs, outputs, show_progress_on=outputs[0], **RUN)
        for ended in (running.then, running.failure):  # after a failure only the second happens
            ended(lambda: gr.Button(visible=False), None, cancel, **QUICK)
        cancel.click(lambda: gr.Button(visible=False), None, cancel, cancels=running, **QUICK)
        return running


def warned(fn: Callable[..., Iterator[Any]], left: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
    """`fn`, but what it cannot do is one message, and no part of the page says "Error": `left` says what they show."""

    def steps(*given: Any) -> Iterator[Any]:
        try:
            yield from fn(*given)
        except gr.Error as error:
            gr.Warning(error.message)
            yield left(*given)

    return steps


def if_given(fn: Callable[..., Any], *needed: int, unseen: int = 0) -> Callable[..., Any]:
    """`fn`, run only if the inputs at the places `needed` are there; it does not see the first `unseen` ones."""

    def there(given: tuple[Any, ...]) -> bool:
        return all(given[place] not in (None, "", []) for place in needed)

    def call(*given: Any) -> Any:
        return fn(*given[unseen:]) if there(given) else gr.skip()

    def steps(*given: Any) -> Iterator[Any]:
        if there(given):
            yield from fn(*given[unseen:])
        else:
            yield gr.skip()

    return steps if inspect.isgeneratorfunction(fn) else call
