"""The page as a Hugging Face Space, made from this checkout: python -m unit space owner/name

All of it is one commit, so no Space ever runs half of one version and half of another.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from huggingface_hub import HfApi, RepoCard

from unit.checkpoint import CARD, CONFIG, WEIGHTS, CheckpointError, checkpoint_files, write_atomic
from unit.hub import PushError, commit, load_pretrained, make_repo, patiently, quiet, why_not_had

CPU, ZERO = "cpu-basic", "zero-a10g"  # what the Hub calls its smallest machine, and ZeroGPU
PYTHON = "3.11"  # what the tests run on
PROGRAM = (".py", ".css", ".js", ".png", ".svg", ".jpg", ".md", ".safetensors", ".typed")  # the kinds of files in unit/
ZERO_PYTHON = "3.12.12"  # ZeroGPU wants one to the last digit
CPU_WHEELS = "--extra-index-url https://download.pytorch.org/whl/cpu"  # 200 MB of torch instead of 3 GB

MADE_BY = "python -m unit space"  # README.md says so; what it does not say it of is not replaced
LOOKS = {  # of a new Space. They may be changed there.
    "title": "UNIT in the browser",
    "emoji": "🌲",
    "colorFrom": "green",
    "colorTo": "blue",
    "license": "mit",
    "short_description": "Summer as winter, day as night, cats as dogs",
    "tags": ["image-to-image", "unpaired", "unit"],
}
TEXT = f"""
# UNIT in the browser

A photo of one domain, drawn in the other by networks that never saw a pair of photos: *Unsupervised Image-to-Image
Translation Networks* ([arXiv:1703.00848](https://arxiv.org/abs/1703.00848)) in PyTorch.

The program is under the MIT licence; the models and the example photos have terms of their own, which stand in their
README files and on the page.

<!-- Made by `{MADE_BY}`. Run again, it replaces the program and its models. These words stay as you
change them, and so do title, emoji, colours, licence, description and tags above, and what you add to them. -->
"""
START = "start.py"
START_TEXT = '''\
"""The page, with models of the Hugging Face Hub. A variable UNIT_MODELS in the Space's settings names others."""

import os

os.environ.setdefault("UNIT_MODELS", "{}")

from app import main

main()
'''


def upload(repo: str, models: Sequence[str] = (), *, private: bool = False, hardware: str | None = None) -> list[str]:
    """Make or update the Space "owner/name". Returns its address, and after it a line on each thing one should know.

    It gets the checkpoints of this checkout or, where some are named, `models` of the Hub. hardware: None leaves it as
    it is. `private` is only asked for, and a public Space is not filled when it is. Raises CheckpointError for a model
    that could not be loaded, and PushError.
    """
    quiet()
    closed = [model for model in models if not _is_open(model)]
    names = models or [folder.name for folder in _checkpoints()]
    if not models:
        for folder in _checkpoints():
            load_pretrained(folder)
    make_repo(repo, kind="space", private=private, space_sdk="gradio", space_hardware=hardware)
    card, has = patiently(repo, lambda: _present(repo))
    if card is not None and MADE_BY not in card:
        raise PushError(f"{repo} has another program, which would be lost: choose another name, or delete its files.")
    files = space_files(models, hardware=hardware or has, card=card, closed=closed)
    kept = commit(repo, files, f"The page, with {', '.join(names)}", ours=_is_ours, kind="space")
    if hardware and hardware != has:
        patiently(repo, lambda: HfApi().request_space_hardware(repo, hardware))  # type: ignore[arg-type]
    told = [f"{HfApi().endpoint}/spaces/{repo}"]
    told += [f"{model} is not open to all: give the Space a secret HF_TOKEN that may read it." for model in closed]
    if kept := [path for path in kept if path != ".gitattributes"]:  # every repository has that
        told.append(f"Kept, since they are not of this program: {', '.join(kept)}.")
    return told


def write(folder: Path, models: Sequence[str] = (), *, hardware: str | None = None) -> None:
    """Write what `upload` would put in a new Space to a new folder. It asks nobody: all models pass for open."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PushError(f"{folder} is there already, and not empty: name a new folder.")
    for path, data in space_files(models, hardware=hardware or CPU).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / path, data)


def space_files(
    models: Sequence[str] = (), *, hardware: str = CPU, card: str | None = None, closed: Sequence[str] = ()
) -> dict[str, bytes]:
    """The files of a Space, by their path in it. card: the README.md it has; closed: those models not open to all."""
    if missing := [name for name in ("app.py", "LICENSE", "requirements.txt", "unit") if not Path(name).exists()]:
        raise PushError(f"There is no {missing[0]} in {Path.cwd()}: run this in a checkout of this program.")
    program = sorted(path for path in Path("unit").rglob("*") if path.suffix in PROGRAM)
    files = {path.as_posix(): path.read_bytes() for path in (Path("app.py"), Path("LICENSE"), *program)}
    if models:
        files[START] = START_TEXT.format(",".join(models)).encode()
    else:
        for folder in _checkpoints():
            files |= {f"checkpoints/{folder.name}/{path}": data for path, data in checkpoint_files(folder).items()}

    requirements = Path("requirements.txt").read_text(encoding="utf-8")
    workings: dict[str, object] = {
        "sdk": "gradio",
        "sdk_version": re.findall(r"^gradio==(\S+)$", requirements, re.MULTILINE)[0],
        "python_version": ZERO_PYTHON if hardware == ZERO else PYTHON,
        "app_file": START if models else "app.py",
        "suggested_hardware": hardware,
        "models": list(models),
        # What is not open to all can only be had when the Space starts, with its secrets, and small files are as well.
        "preload_from_hub": [f"{model} {CONFIG},{WEIGHTS}" for model in models if model not in closed],
    }
    if hardware.startswith("cpu"):
        requirements = f"{CPU_WHEELS}\n{requirements}"
    files["requirements.txt"] = requirements.encode()

    before = RepoCard(card or _card(LOOKS, TEXT))
    files[CARD] = _card(before.data.to_dict() | workings, before.text).encode()
    return files


def _card(facts: Mapping[str, object], text: str) -> str:
    """A README.md. JSON is YAML in which every text has quotes, so no version in it passes for a number."""
    lines = [
        f"{key}: {json.dumps(value, ensure_ascii=False, default=str)}" for key, value in facts.items() if value != []
    ]
    return "\n".join(["---", *lines, "---", text])


def _checkpoints() -> list[Path]:
    found = sorted(path.parent for path in Path("checkpoints").glob(f"*/{CONFIG}"))
    if not found:
        raise PushError("There is no model in checkpoints/: export one to there, or name models of the Hub (--models).")
    return found


def _is_open(model: str) -> bool:
    """Whether all may read this model of the Hub. Raises CheckpointError if it is none."""
    try:
        info = HfApi().model_info(model)
    except Exception as error:
        raise CheckpointError(why_not_had(error, model, None)) from error
    for name in (CONFIG, WEIGHTS):
        if name not in {file.rfilename for file in info.siblings or ()}:
            raise CheckpointError(f"{model} is not a checkpoint: it has no {name}.")
    return not info.private and not info.gated


def _present(repo: str) -> tuple[str | None, str]:
    """The README.md of a Space, None if it has no program yet; and its hardware."""
    api = HfApi()
    info = api.space_info(repo)
    hardware = info.runtime and (info.runtime.requested_hardware or info.runtime.hardware)
    paths, card = {file.rfilename for file in info.siblings or ()}, None
    if paths - {CARD, ".gitattributes"}:  # which are in every new Space
        card = Path(api.hf_hub_download(repo, CARD, repo_type="space")).read_text("utf-8") if CARD in paths else ""
    return card, hardware or CPU


def _is_ours(path: str) -> bool:
    """Whether a file of a Space comes from here, and should go when it no longer does."""
    return path in ("app.py", "LICENSE", CARD, "requirements.txt", START) or path.startswith(("unit/", "checkpoints/"))
