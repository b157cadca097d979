"""The Hugging Face Hub: finds and fetches models, which `unit.checkpoint` then reads, and uploads models and Spaces."""

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from unit import checkpoint
from unit.checkpoint import CONFIG, DISCRIMINATORS, FAMILIAR, FILES, METRICS, NEEDED, CheckpointError
from unit.models.protocol import Model

WAITS = (2, 4, 8, 16, 32)  # seconds before each new attempt to upload
T = TypeVar("T")


class PushError(ValueError):
    """Something could not be uploaded. The message is one sentence that says why, and what to do."""


def load_pretrained(source: str | Path, *, revision: str | None = None) -> Model:
    """A folder, or a repository "owner/name" of the Hub -> the network: float32, on the CPU, eval mode, no gradients.

    Args:
        source: a folder, a file in it, a repository, or its address.
        revision: a branch, tag or commit of the Hub.

    Raises:
        CheckpointError: for all that can be wrong, in one sentence.
    """
    # The folder of a download is called after its commit, so messages name what was asked for.
    return checkpoint.load(find_checkpoint(source, revision=revision), Path(source).resolve().name)


def find_checkpoint(
    source: str | Path, *, revision: str | None = None, whole: bool = False, training: bool = False
) -> Path:
    """The folder that holds the checkpoint, downloaded first if `source` is a repository of the Hub.

    whole: with all that a page shows beside it, its measures, examples and the kinds of photos it knows.
    training: with the discriminators, if there are any.
    """
    source = _meant(source)
    folder = Path(source)
    if not folder.is_dir():
        # A string like owner/name may also be a path with a slip in it. If its parent is here, a path is meant.
        if isinstance(source, Path) or not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", source) or folder.parent.is_dir():
            raise CheckpointError(f"There is no folder {source}.")
        shown, learnt_with = (METRICS, FAMILIAR, "examples/*") * whole, (DISCRIMINATORS,) * training
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
    if isinstance(error, ValueError | ImportError) and "proxy" in str(error).lower():  # of a kind that httpx cannot use
        why = " ".join(str(error).split())
        return f"{what} cannot be fetched through the proxy of ALL_PROXY or HTTPS_PROXY: change or unset it. ({why})"
    return f"{what} could not be fetched whole from the Hugging Face Hub: check network and disk, and try again."


def _as_sent(path: Path) -> bool:
    """False for a damaged file of the Hub's cache, which calls a file by its SHA-256, or git's SHA-1 if it is small.

    Where there are no symbolic links a file has its own name, and nothing can be said.
    """
    name, data = path.resolve().name, path.read_bytes()
    sums = hashlib.sha256(data).hexdigest(), hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    return name in sums or not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", name)


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
