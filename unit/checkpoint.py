"""Checkpoints: a folder of config.json, model.safetensors and README.md, and the network it holds.

Loading is strict, so that a file that is wrong is refused instead of giving a network that is almost right. Weights
are safetensors only: reading them runs no code. `unit.hub` fetches such folders and gives them away.
"""

import json
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_type_hints

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from unit.models import MODELS
from unit.models.protocol import Model, ModelConfig
from unit.system import NAME_BYTES, short_name

CONFIG, WEIGHTS, CARD, METRICS = "config.json", "model.safetensors", "README.md", "metrics.json"
DISCRIMINATORS = "discriminators.safetensors"  # for those who train on; translating does without
FAMILIAR = "familiar.safetensors"  # the kinds of photos that it has learnt from, for the page
NEEDED = CONFIG, WEIGHTS, CARD
# All that belongs to a checkpoint, but for the folder examples. What else lies beside it is its owner's business.
FILES = (CONFIG, WEIGHTS, DISCRIMINATORS, FAMILIAR, CARD, METRICS, "metrics.md", "samples.jpg", "training.json")

# Sizes a real network can have. A file that asks for more would only exhaust the memory.
_ALLOWED: dict[str, Sequence[int]] = {
    "channels_a": (1, 3),
    "channels_b": (1, 3),
    "image_size": range(4, 4097),
    "dim": range(1, 1025),
    "n_res": range(65),
    "n_res_shared": range(65),
    "style_dim": range(1, 1025),
    "mlp_dim": range(1, 4097),
}


class CheckpointError(ValueError):
    """A checkpoint cannot be loaded or saved. The message is one sentence that says what is wrong with it."""


def save_pretrained(
    model: Model, folder: str | Path, *, dtype: torch.dtype = torch.float16, card: str | None = None
) -> None:
    """Write `model` to `folder`, with `card` as its README.md. No file is ever seen half written.

    Raises CheckpointError, and writes nothing, when the configuration could not be loaded again or a weight is not a
    finite number in `dtype`.
    """
    check_config(model.config)
    state = {key: w.detach().to("cpu", dtype).contiguous() for key, w in model.state_dict().items()}
    if bad := _not_finite(state):
        raise CheckpointError(f"{bad} has values that are not finite numbers in {dtype}: it was not saved.")
    files = {
        WEIGHTS: safetensors.torch.save(state, metadata={"format": "pt"}),
        CONFIG: (json.dumps(vars(model.config), indent=2) + "\n").encode(),
    }
    if card is not None:
        files[CARD] = card.encode()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        write_atomic(folder / name, data)


def load(folder: Path, name: str | None = None) -> Model:
    """A folder -> the network: float32, on the CPU, eval mode, no gradients.

    Args:
        folder: with config.json and model.safetensors.
        name: what messages call it; by default the folder's own name.

    Raises:
        CheckpointError: for all that can be wrong with the files.
    """
    name = name or folder.resolve().name
    config = _read_config(folder / CONFIG, name)
    _, model_class = MODELS[config.model]
    # Weights are drawn at random only to be replaced. On the meta device nothing is, but to draw nothing there, PyTorch
    # imports its compiler, which takes two seconds: worth it where drawing takes longer, or more memory than there is.
    with torch.random.fork_rng(devices=[]), torch.device("meta" if config.large else "cpu"):
        model: Model = model_class(config)
    state = _read_weights(folder / WEIGHTS, name)
    _check_same(state, model.state_dict(), name)
    model.load_state_dict(state, assign=True)
    return model.eval().requires_grad_(False)


def checkpoint_files(folder: Path) -> dict[str, bytes]:
    """What is worth giving away of a folder, by its path in there."""
    paths = [folder / name for name in FILES if (folder / name).is_file()]
    paths += [p for p in sorted((folder / "examples").rglob("*")) if p.is_file() and not p.name.startswith(".")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that whoever looks sees all of the old one or all of the new one.

    Raises OSError, which names that file and not the one that is written first.
    """
    temporary = path.with_name(f"{partial_name(path)}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def partial_name(path: Path) -> str:
    """How a file that is half written begins, before the numbers of its process: not longer than a disk takes."""
    return f".{short_name(path.name, longest=NAME_BYTES - 50)}"


def read_tensors(path: Path) -> dict[str, Tensor]:
    """What a safetensors file holds. Its library finds no file whose name is not UTF-8, so such a one is read for it.

    Raises SafetensorError and OSError.
    """
    return safetensors.torch.load_file(path) if is_utf8(path) else safetensors.torch.load(path.read_bytes())


def is_utf8(path: Path) -> bool:
    """Whether all programs can open it by its whole name; on Linux any bytes are one, such as those of Latin-1."""
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_config(path: Path, name: str) -> Any:
    where = f"{CONFIG} of {name}"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{where} is not readable as JSON.") from error
    if not isinstance(values, dict) or "model" not in values:
        raise CheckpointError(f'{where} is not of this program: it has no "model".')
    if (model := values["model"]) not in (names := list(MODELS)):
        known = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
        raise CheckpointError(f"{where} is of a model {str(model)[:40]!r}, and this program knows {known}: update it.")
    config_class, _ = MODELS[model]
    version = values.get("format", 1)
    if type(version) is int and version > config_class.format:
        raise CheckpointError(f"{where} has format {version}, newer than {config_class.format}: update this program.")
    values = upgraded(values)
    if unknown := [field for field in values if field not in get_type_hints(config_class)]:
        raise CheckpointError(f"{where} has an unknown field {unknown[0][:40]!r}.")
    config = config_class(**values)
    check_config(config, where)
    return config


def upgraded(config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a config.json, or of a run's model, as this version writes them.

    Format 1 of a UNIT has `whole` where format 2 has `aligned`.
    """
    version = config.get("format", 1)
    if config.get("model") != "unit" or (type(version), version) != (int, 1):
        return dict(config)
    return {"aligned" if name == "whole" else name: value for name, value in config.items()} | {"format": 2}


def check_config(config: ModelConfig, where: str = "The configuration") -> None:
    """Raises CheckpointError with all `config_problems`."""
    if found := list(config_problems(config, where)):
        raise CheckpointError(" ".join(found))


def config_problems(config: ModelConfig, where: str = "The configuration") -> Iterator[str]:
    """A sentence, which begins with `where`, for each value that no saved network may have."""
    types = get_type_hints(type(config))
    allowed = _ALLOWED | {"format": range(1, getattr(type(config), "format", 1) + 1)}
    for field, value in vars(config).items():
        if expected := _expected(field, value, types[field], allowed.get(field)):
            yield f"{where}: {field} is {str(value)[:40]!r}, and must be {expected}."
    if config.domains[0] == config.domains[1]:
        yield f"{where} gives both domains the name {config.domains[0]}."


def _expected(field: str, value: Any, kind: Any, allowed: Sequence[int] | None) -> str:
    """What a value must be instead; nothing if it may be as it is."""
    if choices := get_args(kind):
        return "" if value in choices else "one of " + ", ".join(choices)
    if type(value) is not kind:  # not isinstance: True is no number of channels
        return {int: "a whole number", str: "a text", bool: "true or false"}[kind]
    if allowed and value not in allowed:
        return f"from {allowed[0]} to {allowed[-1]}" if isinstance(allowed, range) else "1 or 3"
    if field.startswith("domain") and not re.fullmatch(r"[\w .+()-]{0,39}\w", value):  # it becomes part of file names
        return "a short name"
    return ""


def _read_weights(path: Path, name: str) -> dict[str, Tensor]:
    where = f"{WEIGHTS} of {name}"
    try:
        stored = read_tensors(path)
    except FileNotFoundError as error:
        raise CheckpointError(f"{name} has no {WEIGHTS}.") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{where} is damaged, cut short or not a safetensors file: fetch it again.") from error
    for key, w in stored.items():
        if not w.is_floating_point():
            raise CheckpointError(f"{where}: {key} is stored as {w.dtype}, which is not floating point.")
    state = {key: w.to(torch.float32, copy=True) for key, w in stored.items()}  # a copy: `stored` is the file itself
    if bad := _not_finite(state):
        raise CheckpointError(f"{where}: {bad} has values that are not finite numbers.")
    return state


def _check_same(state: dict[str, Tensor], expected: dict[str, Tensor], name: str) -> None:
    where = f"{WEIGHTS} of {name} does not fit its {CONFIG}"
    if missing := [key for key in expected if key not in state]:
        raise CheckpointError(f"{where}: {missing[0]} is missing.")
    if unknown := sorted(state.keys() - expected.keys()):
        raise CheckpointError(f"{where}: {unknown[0]} is not part of the network.")
    for key, w in expected.items():
        if state[key].shape != w.shape:
            found, wanted = tuple(state[key].shape), tuple(w.shape)
            raise CheckpointError(f"{where}: {key} should have shape {wanted}, and has {found}.")


def _not_finite(state: dict[str, Tensor]) -> str | None:
    return next((key for key, w in state.items() if not w.isfinite().all()), None)
