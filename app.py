"""UNIT in the browser: a photo of one domain, drawn in the other.

    python app.py                                   the models in checkpoints/
    UNIT_MODELS=owner/one,owner/two python app.py   models from the Hugging Face Hub

Port and address: GRADIO_SERVER_PORT (7860) and GRADIO_SERVER_NAME (127.0.0.1).
"""

import argparse
import contextlib
import hashlib
import os
import random
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from threading import Thread
from typing import Any

# Both libraries read these when they are imported. The app sends nothing to anybody.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_UPDATE_CHECK"] = "1"

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache, save_pil_to_cache
from gradio.utils import get_upload_folder
from PIL import Image, ImageOps

from unit.about import card, facts
from unit.cache import Cache
from unit.hub import CheckpointError, find_checkpoint
from unit.images import ImageError, load_image
from unit.pictures import difference, film, heat_map
from unit.pipeline import Latent, Translator

CHECKPOINTS = Path(__file__).parent / "checkpoints"
SIDE = 512  # pixels: what moves while one looks is drawn at this size at most, since eight full photos take minutes
DREAM_SIDE = 256
MAX_PIXELS = 50_000_000  # one queue serves everybody: nobody should wait for a stranger's poster
MAX_TEMPERATURE, MAX_GRAIN, MAX_COUNT, MAX_STEPS, MAX_SEED = 3, 32, 8, 16, 2**31 - 1
FRAMES, SECONDS = 24, 3  # of a film
PROGRESS = gr.Progress()  # as the default of a parameter, this asks Gradio for a bar
KEPT_BYTES, KEPT_SECONDS = 256 * 2**20, 600  # latents: some thirty photos, none longer than ten minutes

CSS = """
#notice { border-left: 4px solid var(--primary-500); padding: 0.5rem 1rem; background: var(--block-background-fill); }
#gallery .grid-wrap, #dreams .grid-wrap { min-height: 0; max-height: none; } /* as tall as their pictures */
.small label { font-size: 0.75rem; } /* so that it leaves something of the picture to see */
.small label > span { display: none; }
.caption-label { font-size: 0.75rem; max-width: 100% !important; }
@media (min-width: 900px) {
  #controls { position: sticky; top: 1rem; align-self: flex-start; }
}
@media (max-width: 600px) {
  #result_in { display: none; } /* the photo is just above, and A → B and B → A fit side by side */
  #result_ab label, #result_ba label { font-size: 0.75rem; }
  #result_ab label > span, #result_ba label > span { display: none; }
  #result_ab label, #result_ba label, .small label { max-width: calc(100% - 2.6rem); } /* clear of the button */
  #gallery .grid-container, #dreams .grid-container { grid-template-columns: 1fr 1fr; }
  #tabs [role="tab"] { padding: 0.5rem 0.3rem; font-size: 0.85rem; } /* all five in one line */
}
"""


# ---- pictures in, pictures out ---------------------------------------------------------------------------------------


def uploaded(photo: Any) -> gr.FileData:
    """What the browser sent, as a file that was uploaded. A user's mistake becomes one sentence on the page.

    Every handler takes photos unprocessed: Gradio would open the file itself and answer a bad one with a path of the
    server. A file without its upload mark was never checked to be an upload, so it is not opened.
    """
    if photo is None:
        raise mistake("Please add a photo first.")
    try:
        return gr.FileData.model_validate(photo, context={"validate_meta": True})
    except ValueError as error:
        raise mistake("This is not an uploaded picture: upload the file first.") from error


def stem_of(file: gr.FileData) -> str:
    return Path(file.orig_name or "photo").stem[:50]


def opened(file: gr.FileData) -> Image.Image:
    try:
        image = load_image(file.path)
    except ImageError as error:
        raise mistake(str(error)) from error
    if image.width * image.height > MAX_PIXELS:
        raise mistake(f"This photo has more than {MAX_PIXELS // 10**6} million pixels: please make it smaller.")
    return image


def small(image: Image.Image) -> Image.Image:
    image.thumbnail((SIDE, SIDE))
    return image


def encoded(
    latents: Cache[Latent], file: gr.FileData, translator: Translator, domain: str, size: tuple[int, int] | None = None
) -> Latent:
    """The latent of a photo of at most SIDE pixels, or cropped to `size`; the one in `latents` if it is there.

    Its name there is made of what is in the file, so whoever has the same photo gets it, and nobody else.
    """
    try:
        digest = hashlib.blake2b(Path(file.path).read_bytes()).digest()
    except OSError as error:
        raise mistake("This photo is no longer here: please add it again.") from error

    def encode() -> Latent:
        image = opened(file)
        with enough_memory(image):
            return translator.encode(ImageOps.fit(image, size) if size else small(image), domain)

    return latents.get((digest, translator, domain, size), encode)


def saved(image: Image.Image, name: str) -> str:
    """The picture as `name`.png, without loss, where Gradio serves files from and clears old ones away."""
    return save_pil_to_cache(image, get_upload_folder(), name=name, format="png")


def saved_film(frames: Iterable[Image.Image], name: str) -> str:
    return save_bytes_to_cache(film(frames, SECONDS), f"{name}.webp", get_upload_folder())


def mistake(sentence: str) -> gr.Error:
    return gr.Error(sentence, title="Please try again", print_exception=False)


def number(name: str, value: Any, low: float, high: float) -> float:
    if not isinstance(value, int | float) or not low <= value <= high:
        raise mistake(f"{name} must be a number from {low} to {high}, and it is {value}.")
    return value


def directions(translator: Translator) -> dict[str, str]:
    """What people choose from, and the domain it draws in: {"summer → winter": "winter", "winter → summer": ...}."""
    a, b = translator.domains
    return {f"{a} → {b}": b, f"{b} → {a}": a}


def target_of(direction: str, translator: Translator) -> str:
    known = directions(translator)
    if direction not in known:
        raise mistake(f"The direction is {direction!r}: choose {' or '.join(known)}.")
    return known[direction]


def other_domain(target: str, translator: Translator) -> str:
    return next(name for name in translator.domains if name != target)


def domain_of(name: str, translator: Translator) -> str:
    if name not in translator.domains:
        raise mistake(f"{name!r} is not a domain of this model: choose {' or '.join(translator.domains)}.")
    return name


def noise_of(temperature: Any, grain: Any, seed: Any) -> dict[str, Any]:
    return {
        "temperature": number("Temperature", temperature, 0, MAX_TEMPERATURE),
        "grain": int(number("Grain", grain, 1, MAX_GRAIN)),
        "seed": int(number("Seed", seed, 0, MAX_SEED)),
    }


def paint(translator: Translator, image: Image.Image, target: str, **noise: Any) -> Image.Image:
    with enough_memory(image):
        return translator.translate(image, target, **noise)


def percent(one: Image.Image, other: Image.Image) -> str:
    return f"Difference: {difference(one, other):.1%}"


@contextlib.contextmanager
def enough_memory(image: Image.Image) -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # PyTorch says the second when it cannot have the memory
        print(f"{image.size}: {error}", file=sys.stderr)
        raise mistake("There is not enough memory for this picture: please try a smaller one.") from error


# ---- models and examples ---------------------------------------------------------------------------------------------


def load(sources: Mapping[str, str | Path]) -> tuple[dict[str, Translator], list[str]]:
    """The models that can be had, by name, and the names of those that cannot; the reasons go to the log."""
    models, missing = {}, []
    for name, source in sources.items():
        try:
            models[name] = Translator.from_pretrained(source)
        except CheckpointError as error:
            print(f"{name}: {error}", file=sys.stderr)
            missing.append(name)
    return models, missing


def find_models(checkpoints: Path, repos: list[str]) -> tuple[dict[str, Translator], str]:
    """Models from the Hub if any are named and can be had, else the shipped ones; and what to tell visitors."""
    models, missing = load({repo: repo for repo in repos})
    notice = f"Could not load {', '.join(missing)} from the Hugging Face Hub." if missing else ""
    if not models:
        models, _ = load({config.parent.name: config.parent for config in sorted(checkpoints.glob("*/config.json"))})
        notice = notice and f"{notice} These are the models that came with the app."
    return models, notice


def warm_up(models: Mapping[str, Translator]) -> None:
    """The first run of a network is slow: have it before the first visitor does."""
    for translator in models.values():
        translator.translate(Image.new("RGB", (64, 64)), translator.domains[1])


def example_photos(checkpoints: Path, models: Mapping[str, Translator]) -> tuple[list[list[str]], list[str]]:
    """Rows of (photo, model, direction), and their labels. A file named after a domain is a photo of it."""
    rows, labels = [], []
    for name, translator in models.items():
        ways = list(directions(translator))
        for path in sorted((checkpoints / Path(name).name / "examples").glob("*.jpg")):
            rows.append([str(path), name, ways[translator.domains[1] in path.stem]])
            labels.append(path.stem.replace("-", " ").replace("_", " ").capitalize())
    return rows, labels


def folder_of(name: str, checkpoints: Path) -> Path | None:
    """Where a model's card and measures lie: beside the shipped weights, or where its repository was downloaded to."""
    try:
        return find_checkpoint(name if "/" in name else checkpoints / name)
    except CheckpointError:
        return None


def example_credits(checkpoints: Path, models: Mapping[str, Translator]) -> str:
    files = (checkpoints / Path(name).name / "examples" / "README.md" for name in models)
    return "\n\n".join(file.read_text(encoding="utf-8") for file in files if file.is_file())


# ---- the page --------------------------------------------------------------------------------------------------------

SAMPLE_TEXT = f"""
### Sample the latent
The encoder gives a Gaussian over latents; each seed draws another point of it. A UNIT is nearly unimodal, so the noise
changes little; a higher temperature shows more. Select a sample to make it the result. Samples are at most {SIDE}
pixels wide or high.
"""
BETWEEN_TEXT = """
### Between two photos
Both photos are encoded, and the line between the two latents is drawn. Move the slider from the first photo (0) to the
second (1), which is cropped to the shape of the first. Both should be photos of the domain you translate from.
"""
DREAM_TEXT = """
### Dream
No photo: one latent of pure noise is drawn in both domains, so each number is one dream seen twice. What corresponds is
colour, light and texture. **Do not expect places**: the model learnt to draw from latents of photos, and pure noise is
rarely near one. Temperature 1 and grain 1 are the paper's prior; higher ones get nearer to where photos are.
"""
INSIDE_TEXT = """
### Inside
Two encoders, two decoders, one latent space. A photo of either domain is encoded as a Gaussian around a map of latents
a quarter of its width and height; any point of that space can be drawn in either domain. Drawing it with the other
decoder is the translation. Nobody ever showed the model a pair of photos of the same place.
"""
LIMITS_TEXT = """
**Limits.** One photo has one translation: UNIT is unimodal. It knows only what its training photos show. What it draws
is made up, and is no evidence of how anything looked.

**The paper**: Liu, Breuel, Kautz, *Unsupervised Image-to-Image Translation Networks*, NIPS 2017,
[arXiv:1703.00848](https://arxiv.org/abs/1703.00848). **Its successor** for many translations of one photo is
[MUNIT](https://arxiv.org/abs/1804.04732). This is a new implementation of the paper.
"""


def build_demo(models: Mapping[str, Translator], checkpoints: Path = CHECKPOINTS, notice: str = "") -> gr.Blocks:
    """The page and its API for at least one model. Example photos come from `checkpoints`/<model>/examples/."""
    default = next(iter(models))
    a, b = models[default].domains
    ways = list(directions(models[default]))
    latents: Cache[Latent] = Cache(KEPT_BYTES, KEPT_SECONDS)

    def chosen(name: str | None) -> Translator:
        if (name or default) not in models:
            raise mistake(f"There is no model {name!r} here: choose {' or '.join(models)}.")
        return models[name or default]

    def looked_at(photo: Any, direction: str, name: str) -> tuple[Translator, str, Latent, str]:
        """The model, the domain to draw in, the photo's latent and its name."""
        translator, file = chosen(name), uploaded(photo)
        target = target_of(direction, translator)
        return translator, target, encoded(latents, file, translator, other_domain(target, translator)), stem_of(file)

    # What the page does. Settings arrive as the browser sent them and are checked where they are used.

    def show(photo: Any, direction: str, name: str) -> Iterator[dict[Any, Any]]:
        """The wanted translation as soon as it is there, then the other way round."""
        translator, file = chosen(name), uploaded(photo)
        target = target_of(direction, translator)
        image, stem = opened(file), stem_of(file)
        before, after = saved(image, stem), saved(paint(translator, image, target), f"{stem}-{target}")
        wanted, opposite = (result_ab, result_ba) if target == translator.domains[1] else (result_ba, result_ab)
        shown = {
            before_after: (before, after),
            result_in: before,
            wanted: after,
            opposite: None,  # not the one of the photo before
            download: gr.DownloadButton(value=after, interactive=True),
            reuse: gr.Button(interactive=False),
        }
        yield shown
        other = other_domain(target, translator)
        picture = saved(paint(translator, image, other), f"{stem}-{other}")
        # All of it again: of what only an earlier step has shown, the browser forgets which file of the server it is.
        yield shown | {opposite: picture, reuse: gr.Button(interactive=True)}

    def show_returns(photo: Any, direction: str, name: str) -> tuple[Any, ...]:
        """The photo drawn in its own domain, and there and back again, each with its difference to the photo."""
        translator, target, latent, stem = looked_at(photo, direction, name)
        source = other_domain(target, translator)
        image = small(opened(uploaded(photo)))
        with enough_memory(image):
            again = translator.decode(latent, source)
            _, back = translator.cycle(image, source)
        return (
            gr.Image(saved(again, f"{stem}-again"), label=f"{source} → {source}"),
            gr.Image(saved(heat_map(image, again), f"{stem}-again-difference"), label=percent(image, again)),
            gr.Image(saved(back, f"{stem}-cycle"), label=f"{source} → {target} → {source}"),
            gr.Image(saved(heat_map(image, back), f"{stem}-cycle-difference"), label=percent(image, back)),
        )

    def draw_samples(
        photo: Any, direction: str, name: str, count: Any, temperature: Any, grain: Any, seed: Any
    ) -> list[tuple[str, str]]:
        """`count` draws from q(z|photo), each from a seed of its own, as (file, caption)."""
        noise = noise_of(temperature, grain, seed)
        count = int(number("Number of samples", count, 1, MAX_COUNT))
        translator, target, latent, stem = looked_at(photo, direction, name)
        samples = []
        for s in range(noise["seed"], noise["seed"] + count):
            picture = translator.decode(latent, target, **noise | {"seed": s})
            samples.append((saved(picture, f"{stem}-{target}-{s}"), f"seed {s}, temperature {temperature:g}"))
        return samples

    def show_walk(
        photo: Any, direction: str, name: str, temperature: Any, grain: Any, seed: Any,
        progress: gr.Progress = PROGRESS,
    ) -> tuple[Any, Any]:  # fmt: skip
        """A film around the photo's latent that ends where it began."""
        noise = noise_of(temperature, grain, seed)
        translator, target, latent, stem = looked_at(photo, direction, name)
        steps = progress.tqdm(translator.walk(latent, target, FRAMES, **noise), total=FRAMES, unit="frames")
        file = saved_film(steps, f"{stem}-{target}-walk")
        return file, gr.DownloadButton(value=file, interactive=True)

    def pick(event: gr.SelectData, samples: Any, photo: Any, direction: str, name: str) -> dict[Any, Any]:
        """The selected sample becomes the result, beside a photo of the same size."""
        translator, file = chosen(name), uploaded(photo)
        target = target_of(direction, translator)
        picture = uploaded(samples[event.index]["image"]).path
        before = saved(small(opened(file)), stem_of(file))
        return {
            before_after: (before, picture),
            result_in: before,
            (result_ab if target == translator.domains[1] else result_ba): picture,
            download: gr.DownloadButton(value=picture, interactive=True),
            reuse: gr.Button(interactive=True),
            tabs: gr.Tabs(selected="translate"),
        }

    def between_latents(
        photo: Any, photo_2: Any, direction: str, name: str, domain: str | None
    ) -> tuple[Translator, str, Latent, Latent, str]:
        if photo_2 is None:
            raise mistake("Please add a second photo.")
        translator, target, here, stem = looked_at(photo, direction, name)
        there = encoded(latents, uploaded(photo_2), translator, other_domain(target, translator), here.size)
        return translator, domain_of(domain or target, translator), here, there, stem

    def show_between(photo: Any, photo_2: Any, direction: str, name: str, domain: str, position: Any) -> str:
        position = number("Position", position, 0, 1)
        translator, domain, here, there, stem = between_latents(photo, photo_2, direction, name, domain)
        return saved(translator.decode(here.lerp(there, position), domain), f"{stem}-between-{round(100 * position)}")

    def show_journey(
        photo: Any, photo_2: Any, direction: str, name: str, domain: str,
        progress: gr.Progress = PROGRESS,
    ) -> tuple[Any, Any]:  # fmt: skip
        """A film from one photo to the other and back."""
        translator, domain, here, there, stem = between_latents(photo, photo_2, direction, name, domain)
        half = FRAMES // 2
        steps = progress.tqdm(range(half + 1), unit="frames")
        frames = [translator.decode(here.lerp(there, step / half), domain) for step in steps]
        file = saved_film(frames + frames[-2:0:-1], f"{stem}-journey")
        return file, gr.DownloadButton(value=file, interactive=True)

    def dream(name: str, count: Any, temperature: Any, grain: Any, seed: Any) -> list[tuple[str, str]]:
        translator, noise = chosen(name), noise_of(temperature, grain, seed)
        count = int(number("Number of pairs", count, 1, MAX_COUNT))
        pairs = translator.sample(count, size=(DREAM_SIDE, DREAM_SIDE), **noise)
        return [
            (saved(picture, f"dream-{i}-{domain}"), f"{i}: {domain}")
            for i, pair in enumerate(pairs, 1)
            for domain, picture in zip(translator.domains, pair, strict=True)
        ]

    def flipped(direction: str, name: str) -> str:
        return next(way for way in directions(chosen(name)) if way != direction)

    def use_result(ab: Any, ba: Any, direction: str, name: str) -> tuple[str, str]:
        """The result as the photo, to be translated back."""
        translator = chosen(name)
        result = ab if target_of(direction, translator) == translator.domains[1] else ba
        return uploaded(result).path, flipped(direction, name)

    def change_model(direction: str, name: str) -> dict[Any, Any]:
        """Another model: its directions, and no results of the one before."""
        translator = chosen(name)
        ways = list(directions(translator))
        return {
            direction_radio: gr.Radio(choices=ways, value=direction if direction in ways else ways[0]),
            domain_radio: gr.Radio(choices=list(translator.domains), value=translator.domains[1]),
            **{
                image: gr.Image(None, label=way, alt_text=f"Your photo, {way}")
                for image, way in zip((result_ab, result_ba), ways, strict=True)
            },
            **dict.fromkeys([before_after, result_in, walk_film, between, journey_film]),
            **{image: gr.Image(None, label=image.label) for image in returns},  # the label it began with
            **{
                button: gr.DownloadButton(value=None, interactive=False)
                for button in (download, walk_download, journey_download)
            },
            reuse: gr.Button(interactive=False),
            gallery: [],
            dreams: [],
            about: about_text(name),
            card_text: card(folders[name or default]),
        }

    def about_text(name: str) -> str:
        return facts(chosen(name), folders[name or default])

    # What other programs call. gr.api shows these types to them and hands over the plain dict of a file.

    def api_translate(
        image: gr.FileData,
        direction: str,
        model: str = default,
        temperature: float = 0.0,
        grain: int = 1,
        seed: int = 0,
    ) -> gr.FileData:
        translator, noise = chosen(model), noise_of(temperature, grain, seed)
        target, file = target_of(direction, translator), uploaded(image)
        picture = paint(translator, opened(file), target, **noise)
        return gr.FileData(path=saved(picture, f"{stem_of(file)}-{target}"))

    def api_sample(
        image: gr.FileData, direction: str, model: str = default, count: int = 4, temperature: float = 1.0,
        grain: int = 8, seed: int = 0,
    ) -> list[gr.FileData]:  # fmt: skip
        samples = draw_samples(image, direction, model, count, temperature, grain, seed)
        return [gr.FileData(path=path) for path, _ in samples]

    def api_interpolate(
        image: gr.FileData, image_2: gr.FileData, direction: str, model: str = default, steps: int = 5,
        draw_in: str = "",
    ) -> list[gr.FileData]:  # fmt: skip
        steps = int(number("Number of steps", steps, 2, MAX_STEPS))
        places = [step / (steps - 1) for step in range(steps)]
        return [gr.FileData(path=show_between(image, image_2, direction, model, draw_in, t)) for t in places]

    def api_reconstruct(image: gr.FileData, domain: str, model: str = default, cycle: bool = False) -> gr.FileData:
        translator, file = chosen(model), uploaded(image)
        domain, photo = domain_of(domain, translator), opened(file)
        with enough_memory(photo):
            picture = translator.cycle(photo, domain)[1] if cycle else translator.reconstruct(photo, domain)
        return gr.FileData(path=saved(picture, f"{stem_of(file)}-{'cycle' if cycle else 'again'}"))

    def api_models() -> list[dict[str, Any]]:
        return [{"name": name, "directions": list(directions(translator))} for name, translator in models.items()]

    folders = {name: folder_of(name, checkpoints) for name in models}
    rows, names = example_photos(checkpoints, models)
    seed_style: dict[str, Any] = {"precision": 0, "minimum": 0, "label": "Seed", "min_width": 100, "scale": 3}
    look: dict[str, Any] = {"type": "filepath", "interactive": False, "buttons": ["fullscreen"], "min_width": 140}
    grains = [1, 2, 4, 8, 16, 32]

    with gr.Blocks(title=f"UNIT: {a} and {b}", analytics_enabled=False, delete_cache=(600, 3000)) as demo:
        gr.Markdown(
            "# UNIT\nTwo kinds of photo, one shared latent space: "
            "a photo of either kind is encoded into it and drawn again as the other."
        )
        if notice:
            gr.Markdown(notice, elem_id="notice")
        with gr.Row():
            with gr.Column(scale=2, min_width=320, elem_id="controls"):
                photo = gr.Image(
                    sources=["upload", "webcam", "clipboard"], type="filepath", label="Your photo", height=320,
                    elem_id="photo",
                )  # fmt: skip
                examples_here = gr.Column()  # filled below: examples set things that come further down
                model = gr.Dropdown(
                    list(models), value=default, label="Model", visible=len(models) > 1, elem_id="model"
                )
                with gr.Row(equal_height=True):
                    direction_radio = gr.Radio(ways, value=ways[0], label="Direction", scale=3, elem_id="direction")
                    flip = gr.Button("⇄ Flip", scale=1, min_width=100, elem_id="flip")
                translate = gr.Button("Translate", variant="primary", elem_id="translate")
            with gr.Column(scale=3, min_width=320), gr.Tabs(elem_id="tabs", overflow_behavior="wrap") as tabs:
                with gr.Tab("Translate", id="translate"):
                    before_after = gr.ImageSlider(
                        type="filepath", label="Before and after", max_height=460, interactive=False,
                        elem_id="before_after",
                    )  # fmt: skip
                    with gr.Row():
                        download = gr.DownloadButton(
                            "Download the result", interactive=False, min_width=140, elem_id="download"
                        )
                        reuse = gr.Button("Use result as input", interactive=False, min_width=140, elem_id="reuse")
                    with gr.Row():
                        result_in = gr.Image(label="Photo", alt_text="Your photo", elem_id="result_in", **look)
                        result_ab, result_ba = (
                            gr.Image(label=way, alt_text=f"Your photo, {way}", elem_id=elem_id, **look)
                            for way, elem_id in zip(ways, ("result_ab", "result_ba"), strict=True)
                        )
                    gr.Markdown(
                        "### What survives\nThe photo drawn again in its own domain, and there and back again. "
                        "The heat maps show where they differ from the photo: dark is equal."
                    )
                    returns = []
                    for label, alt, elem_id in (
                        ("Drawn again", "Your photo drawn again in its own domain", "again"),
                        ("There and back", "Your photo translated there and back", "cycle"),
                    ):
                        with gr.Row():
                            returns += [
                                gr.Image(label=label, alt_text=alt, elem_id=elem_id, elem_classes="small", **look),
                                gr.Image(
                                    label="Difference", alt_text="Where it differs from your photo",
                                    elem_id=f"{elem_id}_heat", elem_classes="small", **look,
                                ),
                            ]  # fmt: skip
                with gr.Tab("Sample", id="sample") as sample_tab:
                    gr.Markdown(SAMPLE_TEXT)
                    with gr.Row():
                        temperature = gr.Slider(
                            0, MAX_TEMPERATURE, value=1, step=0.1, label="Noise temperature",
                            info="0: no noise. 1: as in training.", min_width=240, elem_id="temperature",
                        )  # fmt: skip
                        count = gr.Slider(
                            1, MAX_COUNT, value=4, step=1, label="How many", info="One for each seed.",
                            min_width=240, elem_id="count",
                        )  # fmt: skip
                    with gr.Row():
                        grain = gr.Radio(
                            grains, value=8, label="Grain", info="Side, in latent pixels, of one noise value.",
                            scale=3, elem_id="grain",
                        )  # fmt: skip
                        with gr.Column(scale=1, min_width=220), gr.Row(equal_height=True):
                            seed = gr.Number(0, elem_id="seed", **seed_style)
                            dice = gr.Button("New seed", min_width=100, scale=1, elem_id="dice")
                    sample = gr.Button("Sample", variant="primary", elem_id="sample")
                    gallery = gr.Gallery(
                        columns=2, height="auto", label="Samples", allow_preview=False, interactive=False,
                        elem_id="gallery",
                    )  # fmt: skip
                    gr.Markdown(
                        "### Latent walk\nA circle through the noise around your photo, as a film that ends where it "
                        "began, with the temperature, grain and seed from above."
                    )
                    with gr.Row():
                        walk = gr.Button("Walk", variant="primary", min_width=140, elem_id="walk")
                        walk_download = gr.DownloadButton(
                            "Download the walk", interactive=False, min_width=140, elem_id="walk_download"
                        )
                    walk_film = gr.Image(
                        label="Latent walk", alt_text="A walk around your photo", elem_id="walk_film", **look
                    )
                with gr.Tab("Between", id="between") as between_tab:
                    gr.Markdown(BETWEEN_TEXT)
                    with gr.Row():
                        with gr.Column(min_width=200):
                            photo_2 = gr.Image(
                                sources=["upload", "webcam", "clipboard"], type="filepath", label="Second photo",
                                height=240, elem_id="photo_2",
                            )  # fmt: skip
                            second_here = gr.Column()
                        between = gr.Image(label="Between", alt_text="Between two photos", elem_id="between", **look)
                    position = gr.Slider(
                        0, 1, value=0.5, step=0.02, label="Position", info="0: the first photo. 1: the second.",
                        elem_id="position",
                    )  # fmt: skip
                    domain_radio = gr.Radio([a, b], value=b, label="Drawn in", elem_id="domain")
                    with gr.Row():
                        journey = gr.Button("Make a film of it", min_width=140, elem_id="journey")
                        journey_download = gr.DownloadButton(
                            "Download the film", interactive=False, min_width=140, elem_id="journey_download"
                        )
                    journey_film = gr.Image(
                        label="Film", alt_text="From one photo to the other and back", elem_id="journey_film", **look
                    )
                with gr.Tab("Dream", id="dream"):
                    gr.Markdown(DREAM_TEXT)
                    with gr.Row():
                        dream_temperature = gr.Slider(
                            0, MAX_TEMPERATURE, value=2, step=0.1, label="Temperature", min_width=240,
                            elem_id="dream_temperature",
                        )  # fmt: skip
                        dream_count = gr.Slider(
                            1, MAX_COUNT, value=4, step=1, label="Pairs", min_width=240, elem_id="dream_count"
                        )
                    with gr.Row():
                        dream_grain = gr.Radio(grains, value=8, label="Grain", scale=3, elem_id="dream_grain")
                        with gr.Column(scale=1, min_width=220), gr.Row(equal_height=True):
                            dream_seed = gr.Number(0, elem_id="dream_seed", **seed_style)
                            dream_dice = gr.Button("New seed", min_width=100, scale=1, elem_id="dream_dice")
                    dream_button = gr.Button("Dream", variant="primary", elem_id="dream")
                    dreams = gr.Gallery(columns=4, height="auto", label="Dreams", interactive=False, elem_id="dreams")
                with gr.Tab("Inside", id="inside"):
                    gr.Markdown(INSIDE_TEXT)
                    about = gr.Markdown(about_text(default), elem_id="about")
                    gr.Markdown(LIMITS_TEXT)
                    with gr.Accordion("Where the weights come from: the model card", open=False):
                        card_text = gr.Markdown(card(folders[default]), elem_id="card")
        credits = example_credits(checkpoints, models)
        if credits:
            with gr.Accordion("About the example photos", open=False):
                gr.Markdown(credits, elem_id="credits")

        # The model works for one visitor at a time: on few cores, two at once are slower for both. Of many quick
        # changes the last one always wins.
        busy: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}
        quick: dict[str, Any] = {"preprocess": False, "api_visibility": "private", "queue": False}
        run = {**quick, **busy, "queue": True, "trigger_mode": "always_last"}
        settings = [photo, direction_radio, model]
        results = [before_after, result_in, result_ab, result_ba, download, reuse]
        noise = [temperature, grain, seed]
        sampled = [*settings, count, *noise]
        both = [photo, photo_2, direction_radio, model, domain_radio]
        dreamt = [model, dream_count, dream_temperature, dream_grain, dream_seed]
        renamed = [
            direction_radio, domain_radio, *results, *returns, gallery, walk_film, walk_download, between, journey_film,
            journey_download, dreams, about, card_text,
        ]  # fmt: skip

        def if_there(fn: Any, photos: int = 1) -> Any:
            """`fn` for when something else has changed: without its photos there is nothing to complain about."""
            return lambda *given: gr.skip() if None in given[:photos] else fn(*given)

        def show_again(photo: Any, direction: str, name: str) -> Iterator[Any]:
            if photo is not None:
                yield from show(photo, direction, name)

        def target_now(direction: str, name: str) -> str:
            return target_of(direction, chosen(name))

        def samples_again(samples: Any, *given: Any) -> Any:
            return draw_samples(*given) if samples and given[0] is not None else gr.skip()

        def between_again(shown: Any, *given: Any) -> Any:
            return show_between(*given) if shown and None not in given[:2] else gr.skip()

        def redraw(event: Any) -> None:
            """After another photo, direction or model: the results, and what else has been drawn."""
            event.then(show_again, settings, results, **run).success(if_there(show_returns), settings, returns, **run)
            event.then(samples_again, [gallery, *sampled], gallery, **run)
            event.then(target_now, [direction_radio, model], domain_radio, **quick).then(
                between_again, [between, *both, position], between, **run
            )

        translate.click(show, settings, results, scroll_to_output=True, **run).success(
            show_returns, settings, returns, **run
        ).success(samples_again, [gallery, *sampled], gallery, **run)
        redraw(direction_radio.input(None, trigger_mode="always_last"))
        redraw(flip.click(flipped, [direction_radio, model], direction_radio, **quick))
        redraw(model.input(change_model, [direction_radio, model], renamed, **quick))
        redraw(
            reuse.click(use_result, [result_ab, result_ba, direction_radio, model], [photo, direction_radio], **quick)
        )

        sample.click(draw_samples, sampled, gallery, **run)
        moved = [temperature.input, grain.input, count.input, seed.input, sample_tab.select]
        gr.on(moved, if_there(draw_samples), sampled, gallery, **run)
        roll = dice.click(lambda: random.randrange(10_000), None, seed, **quick)
        roll.then(if_there(draw_samples), sampled, gallery, **run)
        gallery.select(pick, [gallery, *settings], [*results, tabs], **quick)
        walk.click(show_walk, [*settings, *noise], [walk_film, walk_download], show_progress_on=walk_film, **run)

        seen = [position.input, domain_radio.input, photo_2.input, between_tab.select]
        gr.on(seen, if_there(show_between, 2), [*both, position], between, show_progress="hidden", **run)
        journey.click(show_journey, both, [journey_film, journey_download], show_progress_on=journey_film, **run)

        dream_button.click(dream, dreamt, dreams, **run)
        gr.on([dream_temperature.input, dream_grain.input, dream_count.input, dream_seed.input], dream, dreamt, dreams,
              **run)  # fmt: skip
        dream_roll = dream_dice.click(lambda: random.randrange(10_000), None, dream_seed, **quick)
        dream_roll.then(dream, dreamt, dreams, **run)

        if rows:
            with examples_here:
                examples = gr.Examples(
                    rows, [photo, model, direction_radio], example_labels=names, label="Examples", cache_examples=False
                )
            redraw(examples.load_input_event.then(change_model, [direction_radio, model], renamed, **quick))
            with second_here:
                seconds = gr.Examples(
                    [row[:1] for row in rows], photo_2, example_labels=names, label="Examples", cache_examples=False
                )
            seconds.load_input_event.then(if_there(show_between, 2), [*both, position], between, **run)

        all_ways = "; ".join(f"{name}: {' or '.join(directions(translator))}" for name, translator in models.items())
        gr.api(
            api_translate, api_name="translate", **busy,
            api_description=f"Draw a photo in the other domain, as a PNG of the photo's size. Directions: {all_ways}. "
            f"Temperature 0 to {MAX_TEMPERATURE} (0: no noise, the seed changes nothing), grain 1 to {MAX_GRAIN}.",
        )  # fmt: skip
        gr.api(
            api_sample, api_name="sample", **busy,
            api_description=f"Draw a photo `count` times (1 to {MAX_COUNT}) with noise in the latent, from the seeds "
            f"seed, seed + 1, ..., as PNGs of at most {SIDE} pixels a side.",
        )  # fmt: skip
        gr.api(
            api_interpolate, api_name="interpolate", **busy,
            api_description=f"Draw `steps` (2 to {MAX_STEPS}) points of the line between two photos in the shared "
            "latent, from the first photo to the second, as PNGs. Both photos are of the domain that the direction "
            "starts from. They are drawn in the one it leads to, or in `draw_in`; the second is cropped to the shape "
            f"of the first, and the pictures have at most {SIDE} pixels a side.",
        )  # fmt: skip
        gr.api(
            api_reconstruct, api_name="reconstruct", **busy,
            api_description="Draw a photo of `domain` again in its own domain, or with `cycle` in the other domain and "
            "from there back, as a PNG of the photo's size.",
        )  # fmt: skip
        gr.api(api_models, api_name="models", api_description="The models here and the directions of each.")
    return demo.queue(max_size=32)


def main() -> None:
    parser = argparse.ArgumentParser(description="UNIT in the browser.")
    parser.add_argument("--checkpoints", type=Path, default=CHECKPOINTS, help="a folder of model folders")
    checkpoints = parser.parse_args().checkpoints
    repos = [repo.strip() for repo in os.environ.get("UNIT_MODELS", "").split(",") if repo.strip()]
    models, notice = find_models(checkpoints, repos)
    if not models:
        sys.exit(
            f"No models found in {checkpoints}: train one (python -m train), name another folder with --checkpoints, "
            "or set UNIT_MODELS to models on the Hugging Face Hub."
        )
    Thread(target=warm_up, args=(models,), daemon=True).start()
    build_demo(models, checkpoints, notice).launch(
        theme=gr.themes.Soft(font=["system-ui", "sans-serif"]), css=CSS, footer_links=["api"], max_file_size="30mb",
        run_history=False, enable_monitoring=False, ssr_mode=False, show_error=False,
    )  # fmt: skip


if __name__ == "__main__":
    main()
