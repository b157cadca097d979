"""Put a model on the Hugging Face Hub: python -m train push CHECKPOINT owner/name [--private] [--every MINUTES]

CHECKPOINT is an exported folder, or the folder of a run, whose newest checkpoint is then exported. It needs a token
that may write: `hf auth login`, or HF_TOKEN. The repository is made if there is none, and each push is one commit.
"""

import argparse
import json
import queue
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TypeVar

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, errors, get_token
from huggingface_hub.utils import disable_progress_bars, logging
from tqdm import tqdm

from train.card import METRICS, REPO, SAMPLES, TRAINING, read_json
from train.config import TrainConfig
from train.data import held_out_photos
from train.export import PHOTOS, export, write_checkpoint
from train.state import TrainState, checkpoints
from unit.hub import CARD, CONFIG, WEIGHTS, load_pretrained

FILES = (CONFIG, WEIGHTS, CARD, METRICS, "metrics.md", SAMPLES, TRAINING)  # and the folder examples
WAITS = (2, 4, 8, 16, 32)  # seconds before each new attempt
T = TypeVar("T")


class PushError(ValueError):
    """A model could not be pushed. The message is one sentence that says why, and what to do."""


def push(folder: Path, repo: str, *, private: bool = False, revision: str | None = None) -> str:
    """Upload the checkpoint in `folder` to "owner/name" in one commit. Returns its address.

    A missing repository is made; `private` is only asked for, and a public one is not filled when it is. `revision`: a
    branch, made if missing. Nothing is committed if nothing changed. While the network or the Hub is in trouble it
    tries again for a minute. Raises CheckpointError for a folder that could not be loaded, and PushError.
    """
    load_pretrained(folder)
    check(repo, private=private)
    files, training = _files(folder, repo), read_json(folder / TRAINING)
    message = f"Step {training['step']}" if training else "Model"
    return patiently(repo, lambda: _upload(files, repo, revision, message))


def check(repo: str, *, private: bool = False) -> None:
    """Make the repository if there is none, and raise PushError unless this token may write to it."""
    if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", repo):
        raise PushError(f"{repo} is not the name of a repository: write owner/name.")
    if get_token() is None:
        raise PushError("there is no token to push with: run hf auth login, or set HF_TOKEN.")

    def make() -> bool:
        api = HfApi()
        api.create_repo(repo, private=private, exist_ok=True)  # tolerates one that is there and not ours
        api.auth_check(repo, write=True)
        return not private or bool(api.model_info(repo).private)

    if not patiently(repo, make):
        raise PushError(
            f"{repo} is there already and is public: make it private on its page, or push without --private."
        )


def _files(folder: Path, repo: str) -> dict[str, bytes]:
    """What goes to the Hub, by its path there. The card then names the repository it is in."""
    ours = [folder / name for name in FILES if (folder / name).is_file()]
    ours += [p for p in sorted((folder / "examples").rglob("*")) if p.is_file() and not p.name.startswith(".")]
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in ours}
    if CARD in files:
        files[CARD] = files[CARD].replace(REPO.encode(), repo.encode())
    return files


def _upload(files: dict[str, bytes], repo: str, revision: str | None, message: str) -> str:
    api = HfApi()
    if revision:
        api.create_branch(repo, branch=revision, exist_ok=True)
    stale = [name for name in api.list_repo_files(repo, revision=revision) if name in FILES and name not in files]
    operations = [CommitOperationDelete(name) for name in stale] + [CommitOperationAdd(*file) for file in files.items()]
    api.create_commit(repo, operations, commit_message=message, revision=revision)
    return f"{api.endpoint}/{repo}"


def patiently(repo: str, action: Callable[[], T]) -> T:
    """What `action` returns; while its failures look temporary it is tried again. Raises PushError."""
    for wait in (*WAITS, None):
        try:
            return action()
        except Exception as error:  # those of the client, of its HTTP library and of its upload library
            if wait is None or not temporary(error):
                raise PushError(why(error, repo)) from error
            time.sleep(wait)
    raise AssertionError("the last wait is None")


def temporary(error: BaseException) -> bool:
    """Whether the same request may succeed in a while: the network, a server in trouble (5xx), or too many requests."""
    if isinstance(error, errors.HfHubHTTPError):
        return error.response.status_code >= 500 or error.response.status_code in (408, 409, 412, 429)
    if isinstance(error, json.JSONDecodeError):  # a proxy's page in place of the Hub's answer
        return True
    return not isinstance(error, ValueError | errors.OfflineModeIsEnabled)


def why(error: Exception, repo: str) -> str:
    """One sentence for a person."""
    if isinstance(error, errors.OfflineModeIsEnabled):
        return f"{repo} was not pushed: HF_HUB_OFFLINE is set."
    if temporary(error):
        status = f" ({error.response.status_code})" if isinstance(error, errors.HfHubHTTPError) else ""
        return f"{repo} was not pushed: the Hugging Face Hub does not answer as it should{status}. Try again later."
    if isinstance(error, errors.HfHubHTTPError) and error.response.status_code == 401:
        return "the Hugging Face Hub refuses the token: renew it (hf auth login), or set HF_TOKEN to another."
    if isinstance(error, errors.HfHubHTTPError) and error.response.status_code in (403, 404):
        return f"this token may not write to {repo}: use your own name or organisation, and a token that may write."
    return f"{repo} was not pushed: {' '.join(str(error).split())[:300]}"


class Pusher:
    """Pushes a run's averaged weights while it trains, in a thread of its own. Never stops the run.

    One upload at a time; a newer snapshot replaces one that waits. Raises ValueError if it is clear from the start that
    no push can succeed: no token, one that may not write, an impossible name. A Hub that does not answer is no reason.
    """

    def __init__(self, config: TrainConfig):
        self.repo, self.private, self.run = config.push_to, config.push_private, config.run_dir
        self.photos = held_out_photos(config, PHOTOS)
        _quiet()
        try:
            check(self.repo, private=self.private)
        except PushError as error:
            if error.__cause__ is None or not temporary(error.__cause__):
                raise
            tqdm.write(f"{error} Training goes on, and so will the pushes.")
        self.waiting: queue.Queue[TemporaryDirectory[str] | None] = queue.Queue(maxsize=1)
        self.thread = Thread(target=self._upload_all, daemon=True)
        self.thread.start()

    def push(self, state: TrainState) -> None:
        """Write a snapshot of `state` and leave its upload to the thread."""
        snapshot = None
        try:
            snapshot = TemporaryDirectory(prefix="unit-push-")
            write_checkpoint(Path(snapshot.name), state.ema, state.metadata(), self.photos)
        except Exception as error:  # a full disk, weights that are no numbers: not worth the run
            tqdm.write(f"step {state.step} was not pushed to {self.repo}: {error}")
            if snapshot:
                snapshot.cleanup()
            return
        with suppress(queue.Empty):
            if older := self.waiting.get_nowait():
                older.cleanup()
        self.waiting.put(snapshot)

    def close(self, timeout: float = 600) -> None:
        """Wait for the last upload, at most `timeout` seconds."""
        end = time.monotonic() + timeout
        with suppress(queue.Full):
            self.waiting.put(None, timeout=timeout)
        self.thread.join(max(0.0, end - time.monotonic()))
        if self.thread.is_alive():
            tqdm.write(
                f"the last push to {self.repo} was not over after {timeout:.0f} s. "
                f"To make up for it: python -m train push {self.run} {self.repo}"
            )

    def _upload_all(self) -> None:
        while snapshot := self.waiting.get():
            try:
                push(Path(snapshot.name), self.repo, private=self.private)
            except Exception as error:  # whatever it is, the next push may do better
                tqdm.write(str(error))
            snapshot.cleanup()


@contextmanager
def exported(checkpoint: Path) -> Iterator[Path]:
    """The folder to push: `checkpoint` itself, or if it is a run, its newest checkpoint exported for the while."""
    if (checkpoint / CONFIG).is_file():
        yield checkpoint
    elif checkpoints(checkpoint):
        with TemporaryDirectory(prefix="unit-push-") as folder:
            yield export(checkpoint, Path(folder))
    else:
        raise PushError(f"{checkpoint} is neither an exported model (it has no {CONFIG}) nor a run with a checkpoint.")


def _stamp(checkpoint: Path) -> list[tuple[Path, int]]:
    """What changes when there is something new to push."""
    files = [checkpoint / name for name in FILES] if (checkpoint / CONFIG).is_file() else checkpoints(checkpoint)
    return [(path, path.stat().st_mtime_ns) for path in files if path.is_file()]


def _quiet() -> None:
    """The client's bars and warnings would come between ours, once for each attempt."""
    disable_progress_bars()
    logging.set_verbosity_error()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m train push", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path, help="an exported folder, or the folder of a run")
    parser.add_argument("repo", help="owner/name")
    parser.add_argument("--private", action="store_true", help="make the repository private, if there is none yet")
    parser.add_argument("--revision", help="branch to push to, made if there is none (default: main)")
    parser.add_argument("--every", type=float, metavar="MINUTES", help="stay, and push whatever is new so often")
    args = parser.parse_args(arguments)
    _quiet()
    pushed = None
    try:
        check(args.repo, private=args.private)
        while True:
            try:
                if (found := _stamp(args.checkpoint)) != pushed:
                    with exported(args.checkpoint) as folder:
                        print(push(folder, args.repo, private=args.private, revision=args.revision), flush=True)
                    pushed = found
            except (ValueError, OSError) as error:
                if not args.every:
                    raise
                print(error, file=sys.stderr, flush=True)
            if not args.every:
                return 0
            time.sleep(60 * args.every)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
