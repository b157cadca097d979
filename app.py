"""UNIT in the browser: a photo of one domain, drawn in the other.

    python app.py                                   the models in checkpoints/
    UNIT_MODELS=owner/one,owner/two python app.py   models from the Hugging Face Hub

Port and address: GRADIO_SERVER_PORT (7860) and GRADIO_SERVER_NAME (127.0.0.1).
"""

import argparse
import contextlib
import functools
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

from unit.checkpoint import CheckpointError
from unit.demo import head
from unit.demo import zerogpu as zero
from unit.demo.api import add_api, misnamed
from unit.demo.assets import Example, PageAssets
from unit.demo.files import PoliteBlocks, forget_in, own_folder, saved
from unit.demo.i18n import CHINESE, ENGLISH
from unit.demo.model_info import credits
from unit.demo.page import CSS, Page
from unit.demo.service import DemoService, UploadedImage, UserError
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
    block_label_background_fill_dark="*primary_700",
    block_title_background_fill="none",
    block_title_background_fill_dark="none",
    block_title_padding="0",
    block_title_text_color="*body_text_color",
    block_title_text_color_dark="*body_text_color",
    button_primary_background_fill="*primary_700",
    checkbox_label_background_fill_selected="*primary_700",
    checkbox_label_background_fill_selected_dark="*primary_700",
    checkbox_border_color="*neutral_400",
    color_accent="*primary_700",
    link_text_color="*primary_700",
    link_text_color_dark="*primary_400",
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


def with_made_up(service: DemoService, examples: Iterable[Example]) -> list[Example]:
    """The examples, and one that its model made up from noise for each direction that has none.

    In the order of the models and their directions. On ZeroGPU, where nothing can be made here, only the examples.
    """
    known, found = list(examples), []
    for name, translator in service.models.items():
        for domain, direction in zip(translator.domains, service.directions(name), strict=True):
            here = [example for example in known if (example.model, example.direction) == (name, direction)]
            if not here and not zero.ON:
                (pair,) = translator.sample(1, Sampling(2, 8, 0), size=(128, 96))
                file = saved(pair[translator.domains.index(domain)], f"made-up-{domain}")
                here = [Example(Path(file), name, direction, "Made up")]
            found += here
    return found


def page_assets(
    models: Mapping[str, Translator], checkpoints: Path = CHECKPOINTS, notice: Message | None = None
) -> PageAssets:
    """What the page shows of at least one model. The first of the examples is translated already.

    `checkpoints`: where those lie that are not of the Hub. `notice`: what to tell every visitor.
    """
    service = DemoService(models)
    folders = {name: folder_of(name, checkpoints) for name in models}
    examples = with_made_up(service, example_photos(folders, service))
    assets = PageAssets(service, examples, "\n\n".join(filter(None, map(credits, folders.values()))), folders, notice)
    if examples and not zero.ON:  # the first run of a network is slow: this is it, so that no visitor's is
        assets.prepare(examples[0])
    return assets


def build_demo(assets: PageAssets) -> PoliteBlocks:
    """The page in every language, and its API."""
    service = assets.service
    with PoliteBlocks(title=head.NAME, analytics_enabled=False) as demo:
        Page(demo, service, ENGLISH, assets)
        add_api(service)
    with demo.route(CHINESE.name, CHINESE.path):
        Page(demo, service, CHINESE, assets)
    ways = {name: list(service.directions(name)) for name in service.models}
    demo.app_settings = head.app_settings([ENGLISH, CHINESE], ways, functools.partial(example_pair, assets))
    demo.queue(max_size=32)
    return demo


def example_pair(assets: PageAssets, model: str, direction: str, photo: str) -> tuple[str, str] | None:
    """Files of the example of a direction that is called so, or else of the first, and of its translation, if made."""
    example = assets.example(model, direction, f"{model}/{photo}")
    return assets.prepared.get(example.key) if example else None


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
        assets = page_assets(models, checkpoints, notice)
        demo = build_demo(assets)
        forget_in(folder)
        try:
            with no_proxy():  # Gradio asks itself whether it answers
                demo.launch(
                    theme=THEME, css=CSS, server_port=port, footer_links=["api"], max_file_size="30mb",
                    run_history=False, enable_monitoring=False, ssr_mode=False, show_error=False,
                    favicon_path=head.ICON, prevent_thread_lock=True,
                    app_kwargs={"exception_handlers": {TypeError: misnamed}, **demo.app_settings},
                )  # fmt: skip
        except OSError as error:  # the port is taken
            sys.exit(str(error))
        with contextlib.suppress(SystemExit), contextlib.nullcontext() if zero.ON else assets.preparing():
            demo.block_thread()
    # All is tidied up. A visitor's photo may still be within PyTorch, and Python, if it ended as usual, would abort.
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
