"""Checkpoints: a folder, here or on the Hugging Face Hub, of config.json, model.safetensors and README.md.

Loading is strict, so that a file that is wrong is refused instead of giving a network that is almost right. Weights
are safetensors only: reading them runs no code. What uploads models and Spaces is at the end.
"""

import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from unit.models.unit import UNIT, UNITConfig

CONFIG, WEIGHTS, CARD, METRICS = "config.json", "model.safetensors", "README.md", "metrics.json"
DISCRIMINATORS = "discriminators.safetensors"  # for those who train on; translating does without
NEEDED = CONFIG, WEIGHTS, CARD
# All that belongs to a checkpoint, but for the folder examples. What else lies beside it is its owner's business.
FILES = (CONFIG, WEIGHTS, DISCRIMINATORS, CARD, METRICS, "metrics.md", "samples.jpg", "training.json")
WAITS = (2, 4, 8, 16, 32)  # seconds before each new attempt to upload
T = TypeVar("T")

# Sizes a real network can have. A file that asks for more would only exhaust the memory.
_ALLOWED = {
    "format": range(1, UNITConfig.format + 1),
    "channels_a": (1, 3),
    "channels_b": (1, 3),
    "image_size": range(4, 4097),
    "dim": range(1, 1025),
    "n_res": range(65),
    "n_res_shared": range(65),
}


class CheckpointError(ValueError):
    """A checkpoint cannot be loaded or saved. The message is one sentence that says what is wrong with it."""


class PushError(ValueError):
    """Something could not be uploaded. The message is one sentence that says why, and what to do."""


def save_pretrained(
    model: UNIT, folder: str | Path, *, dtype: torch.dtype = torch.float16, card: str | None = None
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
        CONFIG: (json.dumps(asdict(model.config), indent=2) + "\n").encode(),
    }
    if card is not None:
        files[CARD] = card.encode()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        write_atomic(folder / name, data)


def load_pretrained(source: str | Path, *, revision: str | None = None) -> UNIT:
    """A folder, or a repository "owner/name" of the Hub -> the network: float32, on the CPU, eval mode, no gradients.

    `revision` is a branch, tag or commit of the Hub. Raises CheckpointError for all that can be wrong.
    """
    folder = find_checkpoint(source, revision=revision)
    name = Path(source).resolve().name  # the folder of a download is called after its commit
    config = _read_config(folder / CONFIG, name)
    # Weights are drawn at random only to be replaced. On the meta device nothing is, but to draw nothing there, PyTorch
    # imports its compiler, which takes two seconds: worth it where drawing takes longer, or more memory than there is.
    large = config.dim > 64 or config.n_res + config.n_res_shared > 8
    with torch.random.fork_rng(devices=[]), torch.device("meta" if large else "cpu"):
        model = UNIT(config)
    state = _read_weights(folder / WEIGHTS, name)
    _check_same(state, model.state_dict(), name)
    model.load_state_dict(state, assign=True)
    return model.eval().requires_grad_(False)


def find_checkpoint(
    source: str | Path, *, revision: str | None = None, whole: bool = False, training: bool = False
) -> Path:
    """The folder that holds the checkpoint, downloaded first if `source` is a repository of the Hub.

    whole: with all that a page shows beside it, its measures and examples, which a network does without.
    training: with the discriminators, if there are any.
    """
    source = _meant(source)
    folder = Path(source)
    if not folder.is_dir():
        # A string like owner/name may also be a path with a slip in it. If its parent is here, a path is meant.
        if isinstance(source, Path) or not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", source) or folder.parent.is_dir():
            raise CheckpointError(f"There is no folder {source}.")
        shown, learnt_with = (METRICS, "examples/*") * whole, (DISCRIMINATORS,) * training
        folder = _download(source, revision, (*NEEDED, *shown, *learnt_with))
    elif revision is not None:
        raise CheckpointError(f"{source} is a folder, which has no revisions: leave the revision out.")
    if not (folder / CONFIG).is_file():
        run = any(folder.glob("step-*.safetensors"))
        raise CheckpointError(
            f"{source} is a training run: python -m train export {source} checkpoints/NAME makes a model of it."
            if run
            else f"{source} is not a checkpoint: it has no {CONFIG}."
        )
    return folder


def _meant(source: str | Path) -> str | Path:
    """The folder or repository that somebody means who names a file in it, or its address on the Hub."""
    address = re.match(r"https?://(?:hf\.co|huggingface\.co)/([^/?#]+/[^/?#]+)", str(source))
    if isinstance(source, str) and address:
        return address[1]
    path = Path(source)
    return path.parent if path.name in FILES and path.is_file() else source


def checkpoint_files(folder: Path) -> dict[str, bytes]:
    """What is worth giving away of a folder, by its path in there."""
    paths = [folder / name for name in FILES if (folder / name).is_file()]
    paths += [p for p in sorted((folder / "examples").rglob("*")) if p.is_file() and not p.name.startswith(".")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that whoever looks sees all of the old one or all of the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _download(repo: str, revision: str | None, patterns: Sequence[str]) -> Path:
    # Imported here because it is needed for nothing else, and reads its environment when imported.
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(repo, revision=revision, allow_patterns=list(patterns)))
    except Exception as error:  # its own errors, those of its HTTP library, and the disk's
        raise CheckpointError(why_not_had(error, repo, revision)) from error
    # Only these: other programs may have fetched the rest of the repository into the same folder.
    paths = [path for name in NEEDED if (path := folder / name).is_file()]
    if bad := [path for path in paths if not _as_sent(path)]:
        for path in bad:
            path.resolve().unlink()
        raise CheckpointError(f"{bad[0].name} of {repo} arrived damaged and was thrown away: try again.")
    return folder


def why_not_had(error: Exception, repo: str, revision: str | None) -> str:
    """One sentence for what huggingface_hub raised while it fetched a repository."""
    from huggingface_hub import errors, is_offline_mode

    what = f"{repo} (revision {revision})" if revision else repo
    match error:
        case errors.GatedRepoError():
            return f"{repo} asks you to accept its terms: do so on its page, then set HF_TOKEN."
        case errors.RepositoryNotFoundError():
            return (
                f"There is no folder {repo}, and no such model on the Hugging Face Hub "
                "(if it is private, set HF_TOKEN to a token that may read it)."
            )
        case errors.RevisionNotFoundError():
            return f"{repo} has no revision {revision}."
        case errors.HfHubHTTPError() if error.response.status_code == 401:
            return "The Hugging Face Hub refuses your token: renew it (hf auth login), or unset HF_TOKEN."
        case errors.HFValidationError():
            return f"{repo} is not a name that a repository of the Hugging Face Hub can have."
        case errors.LocalEntryNotFoundError() if is_offline_mode():
            return f"{what} is not in this machine's cache, and HF_HUB_OFFLINE forbids to fetch it."
        case errors.LocalEntryNotFoundError():
            return f"{what} is not in this machine's cache, and the Hugging Face Hub does not answer: try again later."
    return f"{what} could not be fetched whole from the Hugging Face Hub: check network and disk, and try again."


def _as_sent(path: Path) -> bool:
    """False for a damaged file of the Hub's cache, which calls a file by its SHA-256, or git's SHA-1 if it is small.

    Where there are no symbolic links a file has its own name, and nothing can be said.
    """
    name, data = path.resolve().name, path.read_bytes()
    sums = hashlib.sha256(data).hexdigest(), hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    return name in sums or not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", name)


def _read_config(path: Path, name: str) -> UNITConfig:
    where = f"{CONFIG} of {name}"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{where} is not readable as JSON.") from error
    if not isinstance(values, dict) or values.get("model") != UNITConfig.model:
        raise CheckpointError(f'{where} is not of this program: it does not say "model": "{UNITConfig.model}".')
    version = values.get("format", 1)
    if type(version) is int and version > UNITConfig.format:
        raise CheckpointError(f"{where} has format {version}, newer than {UNITConfig.format}: update this program.")
    if unknown := [field for field in values if field not in get_type_hints(UNITConfig)]:
        raise CheckpointError(f"{where} has an unknown field {unknown[0][:40]!r}.")
    config = UNITConfig(**values)
    check_config(config, where)
    return config


def check_config(config: UNITConfig, where: str = "The configuration") -> None:
    """Raises CheckpointError with all `config_problems`."""
    if found := list(config_problems(config, where)):
        raise CheckpointError(" ".join(found))


def config_problems(config: UNITConfig, where: str = "The configuration") -> Iterator[str]:
    """A sentence, which begins with `where`, for each value that no saved network may have."""
    types = get_type_hints(UNITConfig)
    for field, value in asdict(config).items():
        if expected := _expected(field, value, types[field]):
            yield f"{where}: {field} is {str(value)[:40]!r}, and must be {expected}."
    if config.domain_a == config.domain_b:
        yield f"{where} gives both domains the name {config.domain_a}."


def _expected(field: str, value: Any, kind: Any) -> str:
    """What a value must be instead; nothing if it may be as it is."""
    if choices := get_args(kind):
        return "" if value in choices else "one of " + ", ".join(choices)
    if type(value) is not kind:  # not isinstance: True is no number of channels
        return {int: "a whole number", str: "a text", bool: "true or false"}[kind]
    if field in _ALLOWED and value not in _ALLOWED[field]:
        allowed = _ALLOWED[field]
        return f"from {allowed[0]} to {allowed[-1]}" if isinstance(allowed, range) else "1 or 3"
    if field.startswith("domain") and not re.fullmatch(r"[\w .+()-]{0,39}\w", value):  # it becomes part of file names
        return "a short name"
    return ""


def _read_weights(path: Path, name: str) -> dict[str, Tensor]:
    where = f"{WEIGHTS} of {name}"
    try:
        stored = safetensors.torch.load_file(path)
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


# ---- uploads ---------------------------------------------------------------------------------------------------------
# huggingface_hub is imported in the functions, for the reason that _download gives.


def make_repo(repo: str, *, kind: str = "model", private: bool = False, **settings: Any) -> None:
    """Make the repository if there is none, and raise PushError unless this token may write to it.

    kind: "model" or "space"; `settings` are those of `create_repo`. `private` is only asked for: where a public
    repository is there already, PushError is raised.
    """
    from huggingface_hub import HfApi, get_token

    if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", repo):
        raise PushError(f"{repo} is not the name of a repository: write owner/name.")
    if get_token() is None:
        raise PushError("there is no token to push with: run hf auth login, or set HF_TOKEN.")

    def make() -> bool:
        api = HfApi()
        api.create_repo(repo, repo_type=kind, private=private, exist_ok=True, **settings)  # tolerates one not ours
        api.auth_check(repo, repo_type=kind, write=True)
        return not private or bool(api.repo_info(repo, repo_type=kind).private)

    if not patiently(repo, make):
        raise PushError(
            f"{repo} is there already and is public: make it private on its page, or push without --private "
            "(training: with --no-push-private)."
        )


def commit(
    repo: str,
    files: Mapping[str, bytes],
    message: str,
    *,
    ours: Callable[[str], bool],
    kind: str = "model",
    revision: str | None = None,
) -> list[str]:
    """Put `files`, by their paths, in a repository with one commit, or with none if nothing changes.

    A file that is there, is `ours` and is not among them is deleted. All others stay, and are returned. `revision`: a
    branch, made if missing. Raises PushError.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    def upload() -> list[str]:
        api = HfApi()
        if revision:
            api.create_branch(repo, repo_type=kind, branch=revision, exist_ok=True)
        others = set(api.list_repo_files(repo, repo_type=kind, revision=revision)) - files.keys()
        stale = sorted(filter(ours, others))
        operations: list[Any] = [CommitOperationDelete(path) for path in stale]
        operations += [CommitOperationAdd(*file) for file in files.items()]
        # Not upload_folder, which spreads many files over several commits.
        api.create_commit(repo, operations, commit_message=message, repo_type=kind, revision=revision)
        return sorted(others.difference(stale))

    return patiently(repo, upload)


def patiently(repo: str, action: Callable[[], T]) -> T:
    """What `action` returns; while its failures look temporary it is tried again for a minute. Raises PushError."""
    for wait in (*WAITS, None):
        try:
            return action()
        except Exception as error:  # those of the client, of its HTTP library and of its upload library
            if wait is None or not temporary(error):
                raise PushError(why_not_pushed(error, repo)) from error
            time.sleep(wait)
    raise AssertionError("the last wait is None")


def temporary(error: BaseException) -> bool:
    """Whether the same request may succeed in a while: the network, a server in trouble (5xx), or too many requests."""
    from huggingface_hub import errors

    if isinstance(error, errors.HfHubHTTPError):
        return error.response.status_code >= 500 or error.response.status_code in (408, 409, 412, 429)
    if isinstance(error, json.JSONDecodeError):  # a proxy's page in place of the Hub's answer
        return True
    return not isinstance(error, ValueError | errors.OfflineModeIsEnabled)


def why_not_pushed(error: Exception, repo: str) -> str:
    """One sentence for what huggingface_hub raised while it made or filled a repository."""
    from huggingface_hub import errors

    status = error.response.status_code if isinstance(error, errors.HfHubHTTPError) else None
    if isinstance(error, errors.OfflineModeIsEnabled):
        return f"{repo} was not pushed: HF_HUB_OFFLINE is set."
    if temporary(error):
        told = f" ({status})" if status else ""
        return f"{repo} was not pushed: the Hugging Face Hub does not answer as it should{told}. Try again later."
    if status == 401:
        return "the Hugging Face Hub refuses the token: renew it (hf auth login), or set HF_TOKEN to another."
    if status == 402:
        return (
            f"{repo} was not pushed: its owner's plan does not pay for this hardware. "
            "Without a plan, --hardware zero-a10g may be had (docs/hosting.md)."
        )
    if status in (403, 404):
        return f"this token may not write to {repo}: use your own name or organisation, and a token that may write."
    return f"{repo} was not pushed: {' '.join(str(error).split())[:300]}"


def quiet() -> None:
    """The client's bars and warnings would come between ours, once for each attempt."""
    from huggingface_hub.utils import disable_progress_bars, logging

    disable_progress_bars()
    logging.set_verbosity_error()
