"""UNIT in the browser: a photo of one domain, drawn in the other.

    python app.py                                   the models in checkpoints/
    UNIT_MODELS=owner/one,owner/two python app.py   models from the Hugging Face Hub

Port and address: GRADIO_SERVER_PORT (7860) and GRADIO_SERVER_NAME (127.0.0.1).
"""

import argparse
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

if os.environ.get("SPACES_ZERO_GPU"):  # on ZeroGPU `spaces` wants to be imported before torch
    with contextlib.suppress(ImportError):
        import spaces  # noqa: F401

# Both libraries read these when they are imported. The app sends nothing to anybody.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_UPDATE_CHECK"] = "1"

from unit.system import no_proxy

with no_proxy():  # Gradio prepares to send when it is imported, and fails where a proxy is of a kind it does not know
    import gradio as gr
    import safehttpx
from PIL import Image

from unit.checkpoint import CheckpointError
from unit.demo import zerogpu as zero
from unit.demo.api import add_api, misnamed
from unit.demo.assets import Example, PageAssets
from unit.demo.files import PoliteBlocks, forget_in, own_folder, saved
from unit.demo.i18n import CHINESE, ENGLISH
from unit.demo.model_info import credits
from unit.demo.page import CSS, Page
from unit.demo.service import DemoService, UploadedImage, UserError
from unit.demo.visualize import thumbnail
from unit.hub import find_checkpoint
from unit.messages import Message
from unit.pipeline import Sampling, Translator


async def fetch_nothing(*_: Any, **__: Any) -> NoReturn:
    """Gradio would fetch any address that a caller names in place of a file, and ask Google where it is."""
    raise gr.Error(
        "This server fetches nothing from other machines: download the photo, and send the file.", print_exception=False
    )


safehttpx.get = safehttpx.async_validate_url = fetch_nothing  # all that Gradio reaches an address through

CHECKPOINTS = Path(__file__).parent / "checkpoints"

# Gradio's own shades of text are too pale to be read by everybody: WCAG asks for a contrast of 4.5. The page is a
# little darker than what lies on it, so that one sees where a photo goes.
THEME = gr.themes.Soft(font=["system-ui", "sans-serif"]).set(
    body_background_fill="*neutral_50",
    body_text_color_subdued="*neutral_500",
    block_label_text_color="*primary_700",
    block_title_text_color="*primary_700",
    button_primary_background_fill="*primary_600",
    checkbox_label_background_fill_selected="*primary_600",
    checkbox_border_color="*neutral_400",
    color_accent="*primary_600",
)


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


def find_models(checkpoints: Path, repos: list[str]) -> tuple[dict[str, Translator], Message | None]:
    """Models from the Hub if any are named and can be had, else the shipped ones; and what to tell visitors."""
    models, missing = load({repo: repo for repo in repos})
    text = "Could not load {missing} from the Hugging Face Hub."
    if not models:
        text += " These models came with the app."
        models, _ = load({config.parent.name: config.parent for config in sorted(checkpoints.glob("*/config.json"))})
        # The page begins with what takes any photo, and of that with what has the most examples.
        photos = {name: len(example_files(checkpoints / name)) for name in models}
        models = dict(sorted(models.items(), key=lambda model: (model[1].config.aligned, -photos[model[0]])))
    return models, Message(text, {"missing": ", ".join(missing)}) if missing else None


def folder_of(name: str, checkpoints: Path) -> Path | None:
    """Where card, measures and examples lie: beside the shipped weights, or where the repository was downloaded to."""
    try:
        return find_checkpoint(name, whole=True) if "/" in name else find_checkpoint(checkpoints / name)
    except CheckpointError:
        return None


def example_files(folder: Path | None) -> list[Path]:
    return sorted((folder / "examples").glob("*.jpg")) if folder else []


def example_photos(folders: Mapping[str, Path | None], service: DemoService) -> list[Example]:
    """The photos in the folder `examples` of each model's own that can be read.

    A file named after a domain is a photo of it.
    """
    examples = []
    for name, translator in service.models.items():
        a_to_b, b_to_a = service.directions(name)
        for path in example_files(folders[name]):
            try:
                UploadedImage(str(path), path.stem).opened()
            except UserError as error:  # it may come from anybody's repository
                print(f"{name}: {error}", file=sys.stderr)
                continue
            direction = b_to_a if translator.domains[1] in path.stem else a_to_b
            label = path.stem.replace("-", " ").replace("_", " ")
            examples.append(Example(path, name, direction, label[0].upper() + label[1:]))
    return examples


def first_drawings(service: DemoService, examples: Iterable[Example]) -> dict[str, tuple[Image.Image, Image.Image]]:
    """What each model does, before and after, by the model's name: its first example, or a dream if it has none.

    The first run of a network is slow. This is it, so that the first visitor's is not. On ZeroGPU there is none.
    """
    drawings: dict[str, tuple[Image.Image, Image.Image]] = {}
    if zero.ON:
        return drawings
    for name, translator in service.models.items():
        example = next((example for example in examples if example.model == name), None)
        if example is None:
            (drawings[name],) = translator.sample(1, Sampling(2, 8, 0), size=(64, 48))
        else:
            request = service.request(UploadedImage(str(example.photo), name), example.direction, name)
            drawing, photo = request.draw(request.target), request.whole() if request.face else None
            drawings[name] = (photo, request.put_back(drawing, photo)) if photo else (request.picture(), drawing)
    return drawings


def build_demo(
    models: Mapping[str, Translator], checkpoints: Path = CHECKPOINTS, notice: Message | None = None
) -> gr.Blocks:
    """The page in every language, and its API, for at least one model.

    `checkpoints`: where those lie that are not of the Hub. `notice`: what to tell every visitor.
    """
    service = DemoService(models)
    folders = {name: folder_of(name, checkpoints) for name in models}
    examples = example_photos(folders, service)
    told = "\n\n".join(filter(None, map(credits, folders.values())))
    drawings = first_drawings(service, examples)
    pictures = {name: thumbnail(*pair) for name, pair in drawings.items()}
    with_photo = {example.model for example in examples}
    results = {
        name: (saved(before, name), saved(after, f"{name}-drawn"))
        for name, (before, after) in drawings.items()
        if name in with_photo
    }
    assets = PageAssets(examples, told, pictures, results, folders, notice)
    with PoliteBlocks(title="UNIT in the browser", analytics_enabled=False) as demo:
        Page(demo, service, ENGLISH, assets)
        add_api(service)
    with demo.route(CHINESE.name, CHINESE.path):
        Page(demo, service, CHINESE, assets)
    return demo.queue(max_size=32)


def port_asked_for(value: str) -> int | None:
    """The port that the environment names; None: any free one. Kubernetes sets such variables to addresses."""
    if not value.strip() or value.strip() == "0":
        return None
    number = value.strip().rpartition(":")[2]
    if not number.isdecimal() or not 0 < int(number) < 65536:
        sys.exit(f"GRADIO_SERVER_PORT is {value!r}: it must be a port from 1 to 65535, or unset.")
    return int(number)


def main() -> None:
    logging.basicConfig(format="%(message)s")  # to stderr, a line each
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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # what is tidied up at the end is tidied up then, too
    port = port_asked_for(os.environ.get("GRADIO_SERVER_PORT", ""))  # which is then not to be another
    with own_folder() as folder:
        demo = build_demo(models, checkpoints, notice)
        forget_in(folder)
        try:
            with no_proxy():  # Gradio asks itself whether it answers
                demo.launch(
                    theme=THEME, css=CSS, server_port=port, footer_links=["api"], max_file_size="30mb",
                    run_history=False, enable_monitoring=False, ssr_mode=False, show_error=False,
                    app_kwargs={"exception_handlers": {TypeError: misnamed}},
                )  # fmt: skip
        except OSError as error:  # the port is taken
            sys.exit(str(error))


if __name__ == "__main__":
    main()
