"""UNIT in the browser: a photo of one domain, drawn in the other.

    python app.py                                   the models in checkpoints/
    UNIT_MODELS=owner/one,owner/two python app.py   models from the Hugging Face Hub

Port and address: GRADIO_SERVER_PORT (7860) and GRADIO_SERVER_NAME (127.0.0.1).
"""

import argparse
import os
import random
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Thread
from typing import Any

# Both libraries read these when they are imported. The app sends nothing to anybody.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_UPDATE_CHECK"] = "1"

import gradio as gr
from gradio.processing_utils import save_pil_to_cache
from gradio.utils import get_upload_folder
from PIL import Image

from unit.hub import CheckpointError
from unit.images import ImageError, load_image
from unit.pipeline import Translator

CHECKPOINTS = Path(__file__).parent / "checkpoints"
SAMPLE_SIDE = 512  # pixels: samples are for comparing, and eight full photos would take minutes
MAX_PIXELS = 50_000_000  # one queue serves everybody: nobody should wait for a stranger's poster
MAX_TEMPERATURE, MAX_GRAIN, MAX_COUNT, MAX_SEED = 3, 32, 8, 2**31 - 1

CSS = """
#notice { border-left: 4px solid var(--primary-500); padding: 0.5rem 1rem; background: var(--block-background-fill); }
#gallery .grid-wrap { min-height: 0; max-height: none; } /* as tall as its pictures, whatever their number */
@media (max-width: 600px) {
  #result_in { display: none; } /* the photo is just above, and A → B and B → A fit side by side */
  #gallery .grid-container { grid-template-columns: 1fr 1fr; }
}
"""


# ---- pictures in, pictures out ---------------------------------------------------------------------------------------


def opened(photo: Any) -> tuple[Image.Image, str]:
    """An uploaded photo and the stem of its file name. A user's mistake becomes one sentence on the page.

    Every handler takes the photo unprocessed: Gradio would open the file itself and answer a bad one with a path of
    the server. A file without its upload mark was never checked to be an upload, so it is not opened.
    """
    if photo is None:
        raise mistake("Please add a photo first.")
    try:
        file = gr.FileData.model_validate(photo, context={"validate_meta": True})
    except ValueError as error:
        raise mistake("This is not an uploaded picture: upload the file first.") from error
    try:
        image = load_image(file.path)
    except ImageError as error:
        raise mistake(str(error)) from error
    if image.width * image.height > MAX_PIXELS:
        raise mistake(f"This photo has more than {MAX_PIXELS // 10**6} million pixels: please make it smaller.")
    return image, Path(file.orig_name or "photo").stem[:50]


def saved(image: Image.Image, name: str) -> str:
    """The picture as `name`.png, without loss, where Gradio serves files from and clears old ones away."""
    return save_pil_to_cache(image, get_upload_folder(), name=name, format="png")


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


def draw(
    translator: Translator, image: Image.Image, target: str, temperature: float, grain: float, seed: float
) -> Image.Image:
    return paint(
        translator,
        image,
        target,
        temperature=number("Temperature", temperature, 0, MAX_TEMPERATURE),
        grain=int(number("Grain", grain, 1, MAX_GRAIN)),
        seed=int(number("Seed", seed, 0, MAX_SEED)),
    )


def paint(translator: Translator, image: Image.Image, target: str, **noise: Any) -> Image.Image:
    try:
        return translator.translate(image, target, **noise)
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


def example_credits(checkpoints: Path, models: Mapping[str, Translator]) -> str:
    files = (checkpoints / Path(name).name / "examples" / "README.md" for name in models)
    return "\n\n".join(file.read_text(encoding="utf-8") for file in files if file.is_file())


# ---- the page --------------------------------------------------------------------------------------------------------


def build_demo(models: Mapping[str, Translator], checkpoints: Path = CHECKPOINTS, notice: str = "") -> gr.Blocks:
    """The page and its API for at least one model. Example photos come from `checkpoints`/<model>/examples/."""
    default = next(iter(models))
    a, b = models[default].domains
    ways = list(directions(models[default]))

    def chosen(name: str | None) -> Translator:
        if (name or default) not in models:
            raise mistake(f"There is no model {name!r} here: choose {' or '.join(models)}.")
        return models[name or default]

    # What the page does. Settings arrive as the browser sent them and are checked where they are used.

    def show(photo: Any, direction: str, name: str) -> Iterator[dict[Any, Any]]:
        """The wanted translation as soon as it is there, then the other way round."""
        translator = chosen(name)
        target = target_of(direction, translator)
        image, stem = opened(photo)
        before, after = saved(image, stem), saved(paint(translator, image, target), f"{stem}-{target}")
        wanted, opposite = (result_ab, result_ba) if target == translator.domains[1] else (result_ba, result_ab)
        yield {
            before_after: (before, after),
            result_in: before,
            wanted: after,
            opposite: None,  # not the one of the photo before
            download: gr.DownloadButton(value=after, interactive=True),
        }
        other = next(name for name in translator.domains if name != target)
        yield {opposite: saved(paint(translator, image, other), f"{stem}-{other}")}

    def show_again(photo: Any, direction: str, name: str) -> Iterator[dict[Any, Any]]:
        if photo is not None:
            yield from show(photo, direction, name)

    def show_samples(
        photo: Any, direction: str, name: str, count: float, temperature: float, grain: float, seed: float
    ) -> list[tuple[str, str]]:
        """`count` draws from q(z|photo), each from a seed of its own, as (file, caption)."""
        translator = chosen(name)
        target = target_of(direction, translator)
        image, stem = opened(photo)
        image.thumbnail((SAMPLE_SIDE, SAMPLE_SIDE))
        first = int(number("Seed", seed, 0, MAX_SEED))
        samples = []
        for s in range(first, first + int(number("Number of samples", count, 1, MAX_COUNT))):
            picture = draw(translator, image, target, temperature, grain, s)
            samples.append((saved(picture, f"{stem}-{target}-{s}"), f"seed {s}, temperature {temperature:g}"))
        return samples

    def show_samples_again(photo: Any, *settings: Any) -> Any:
        return gr.skip() if photo is None else show_samples(photo, *settings)

    def flipped(direction: str, name: str) -> str:
        return next(way for way in directions(chosen(name)) if way != direction)

    def change_model(direction: str, name: str) -> tuple[Any, ...]:
        """Another model: its directions, and no results of the one before."""
        ways = list(directions(chosen(name)))
        radio = gr.Radio(choices=ways, value=direction if direction in ways else ways[0])
        ab, ba = (gr.Image(None, label=way, alt_text=f"Your photo, {way}") for way in ways)
        return radio, None, None, ab, ba, gr.DownloadButton(value=None, interactive=False), []

    # What other programs call. gr.api shows these types to them and hands over the plain dict of a file.

    def api_translate(
        image: gr.FileData,
        direction: str,
        model: str = default,
        temperature: float = 0.0,
        grain: int = 1,
        seed: int = 0,
    ) -> gr.FileData:
        translator = chosen(model)
        target = target_of(direction, translator)
        photo, stem = opened(image)
        return gr.FileData(path=saved(draw(translator, photo, target, temperature, grain, seed), f"{stem}-{target}"))

    def api_sample(
        image: gr.FileData, direction: str, model: str = default, count: int = 4, temperature: float = 1.0,
        grain: int = 8, seed: int = 0,
    ) -> list[gr.FileData]:  # fmt: skip
        samples = show_samples(image, direction, model, count, temperature, grain, seed)
        return [gr.FileData(path=path) for path, _ in samples]

    def api_models() -> list[dict[str, Any]]:
        return [{"name": name, "directions": list(directions(translator))} for name, translator in models.items()]

    with gr.Blocks(title=f"UNIT: {a} and {b}", analytics_enabled=False, delete_cache=(600, 3000)) as demo:
        gr.Markdown(
            "# UNIT\nTwo kinds of photo, one shared latent space: "
            "a photo of either kind is encoded into it and drawn again as the other."
        )
        if notice:
            gr.Markdown(notice, elem_id="notice")
        with gr.Row():
            with gr.Column():
                photo = gr.Image(
                    sources=["upload", "webcam", "clipboard"], type="filepath", label="Your photo", height=320,
                    elem_id="photo",
                )  # fmt: skip
                examples_here = gr.Column()  # filled below: examples set things that come further down
                model = gr.Dropdown(
                    list(models), value=default, label="Model", visible=len(models) > 1, elem_id="model"
                )
                with gr.Row(equal_height=True):
                    direction = gr.Radio(ways, value=ways[0], label="Direction", scale=3, elem_id="direction")
                    flip = gr.Button("⇄ Flip", scale=1, min_width=100, elem_id="flip")
                translate = gr.Button("Translate", variant="primary", elem_id="translate")
            with gr.Column():
                before_after = gr.ImageSlider(
                    type="filepath", label="Before and after", max_height=460, interactive=False, elem_id="before_after"
                )
                download = gr.DownloadButton("Download the result", interactive=False, elem_id="download")
        with gr.Row():
            look: dict[str, Any] = {
                "type": "filepath",
                "interactive": False,
                "buttons": ["fullscreen"],
                "min_width": 140,
            }
            result_in = gr.Image(label="Photo", alt_text="Your photo", elem_id="result_in", **look)
            result_ab, result_ba = (
                gr.Image(label=way, alt_text=f"Your photo, {way}", elem_id=elem_id, **look)
                for way, elem_id in zip(ways, ("result_ab", "result_ba"), strict=True)
            )
        gr.Markdown(
            "## Sample the latent\n"
            "The encoder gives a Gaussian over latents; each seed draws another point of it. A UNIT is nearly "
            "unimodal, so the noise changes little: coarse grain and a higher temperature show more. "
            f"Samples are at most {SAMPLE_SIDE} pixels wide or high."
        )
        with gr.Row():
            with gr.Column():
                temperature = gr.Slider(
                    0, MAX_TEMPERATURE, value=1, step=0.1, label="Noise temperature",
                    info="0: no noise. 1: as in training.", elem_id="temperature",
                )  # fmt: skip
                count = gr.Slider(1, MAX_COUNT, value=4, step=1, label="How many", elem_id="count")
            with gr.Column():
                grain = gr.Radio(
                    [1, 2, 4, 8, 16, 32], value=8, label="Grain", info="Side, in latent pixels, of one noise value.",
                    elem_id="grain",
                )  # fmt: skip
                with gr.Row(equal_height=True):
                    seed = gr.Number(0, precision=0, minimum=0, label="Seed", min_width=100, scale=3, elem_id="seed")
                    dice = gr.Button("New seed", min_width=100, scale=1, elem_id="dice")
        sample = gr.Button("Sample", variant="primary", elem_id="sample")
        gallery = gr.Gallery(columns=4, height="auto", label="Samples", elem_id="gallery")
        credits = example_credits(checkpoints, models)
        if credits:
            with gr.Accordion("About the example photos", open=False):
                gr.Markdown(credits, elem_id="credits")

        # The model works for one visitor at a time: on few cores, two at once are slower for both.
        busy: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}
        quick: dict[str, Any] = {"preprocess": False, "api_visibility": "private", "queue": False}
        run = {**quick, **busy, "queue": True}
        settings = [photo, direction, model]
        results = [before_after, result_in, result_ab, result_ba, download]
        noise = [*settings, count, temperature, grain, seed]
        renamed = [direction, *results, gallery]

        translate.click(show, settings, results, scroll_to_output=True, **run)
        direction.input(show_again, settings, results, trigger_mode="always_last", **run)
        flip.click(flipped, [direction, model], direction, **quick).then(show_again, settings, results, **run)
        model.input(change_model, [direction, model], renamed, **quick).then(show_again, settings, results, **run)
        sample.click(show_samples, noise, gallery, **run)
        moved = [temperature.input, grain.input, count.input, seed.input]
        gr.on(moved, show_samples_again, noise, gallery, trigger_mode="always_last", **run)
        roll = dice.click(lambda: random.randrange(10_000), None, seed, **quick)
        roll.then(show_samples_again, noise, gallery, **run)
        rows, names = example_photos(checkpoints, models)
        if rows:
            with examples_here:
                examples = gr.Examples(
                    rows, [photo, model, direction], example_labels=names, label="Examples", cache_examples=False
                )
            pick = examples.load_input_event.then(change_model, [direction, model], renamed, **quick)
            pick.then(show_again, settings, results, **run)

        all_ways = "; ".join(f"{name}: {' or '.join(directions(translator))}" for name, translator in models.items())
        gr.api(
            api_translate, api_name="translate", **busy,
            api_description=f"Draw a photo in the other domain, as a PNG of the photo's size. Directions: {all_ways}. "
            f"Temperature 0 to {MAX_TEMPERATURE} (0: no noise, the seed changes nothing), grain 1 to {MAX_GRAIN}.",
        )  # fmt: skip
        gr.api(
            api_sample, api_name="sample", **busy,
            api_description=f"Draw a photo `count` times (1 to {MAX_COUNT}) with noise in the latent, from the seeds "
            f"seed, seed + 1, ..., as PNGs of at most {SAMPLE_SIDE} pixels a side.",
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
