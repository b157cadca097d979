"""Models on the Hugging Face Hub: python -m train push CHECKPOINT owner/name, and pushes while a run trains."""

import queue
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Annotated

import tyro
from huggingface_hub import HfApi
from huggingface_hub.errors import RevisionNotFoundError
from tqdm import tqdm
from tyro.conf import Positional

from train.checkpointer import checkpoints
from train.command import command
from train.config import TrainConfig
from train.data.batches import held_out_photos
from train.publish.card import REPO, TRAINING, read_json
from train.publish.export import PHOTOS, export, write_checkpoint
from train.publish.merge import marked, merged
from train.state import TrainState
from unit.checkpoint import CARD, CONFIG, FILES, checkpoint_files
from unit.hub import PushError, commit, load_pretrained, make_repo, patiently, quiet, temporary

KEPT = (
    "{repo} keeps the card it has, for the program's part of it was changed there or is not marked. "
    "To replace it: python -m train push CHECKPOINT {repo} --overwrite-card"
)


def push(
    folder: Path, repo: str, *, private: bool = False, revision: str | None = None, overwrite_card: bool = False
) -> str:
    """Upload the checkpoint in `folder` to "owner/name" in one commit. Returns its address.

    A missing repository is made; `private` is only asked for, and a public one is not filled when it is. `revision`: a
    branch, made if missing. Nothing is committed if nothing changed. What a person has changed in the card on the Hub
    is kept, unless `overwrite_card`. While the network or the Hub is in trouble it tries again for a minute. Raises
    CheckpointError for a folder that could not be loaded, and PushError.
    """
    load_pretrained(folder)
    make_repo(repo, private=private)
    files, training = checkpoint_files(folder), read_json(folder / TRAINING)
    if CARD in files:  # now it is known what the card calls owner/name
        card = files[CARD].decode().replace(REPO, repo)
        there = None if overwrite_card else patiently(repo, lambda: _card_there(repo, revision))
        new = marked(card) if there is None else merged(card, there)
        if new is None:
            tqdm.write(KEPT.format(repo=repo), file=sys.stderr)
            del files[CARD]
        else:
            files[CARD] = new.encode()
    message = f"Step {training['step']}" if training else "Model"
    # A card on the Hub may be somebody's own work: without another one in its place it stays.
    commit(repo, files, message, ours=lambda path: path in FILES and path != CARD, revision=revision)
    return f"{HfApi().endpoint}/{repo}"


def _card_there(repo: str, revision: str | None) -> str | None:
    """The card that a push would replace; on a branch that is still to be made, that of main."""
    api = HfApi()
    try:
        info = api.model_info(repo, revision=revision)
    except RevisionNotFoundError:
        info = api.model_info(repo)
    if CARD not in {file.rfilename for file in info.siblings or ()}:
        return None
    return Path(api.hf_hub_download(repo, CARD, revision=info.sha)).read_text("utf-8")  # of a commit: never a stale one


class Pusher:
    """Pushes a run's averaged weights while it trains, in a thread of its own. Never stops the run.

    One upload at a time; a newer snapshot replaces one that waits. Raises ValueError if it is clear from the start that
    no push can succeed: no token, one that may not write, an impossible name. A Hub that does not answer is no reason.
    """

    def __init__(self, config: TrainConfig):
        self.repo, self.private, self.run = config.hub.push_to, config.hub.push_private, config.run_dir
        self.photos = held_out_photos(config, PHOTOS)
        quiet()
        try:
            make_repo(self.repo, private=self.private)
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

    def close(self, timeout: float) -> None:
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


@command("push")
def main(
    checkpoint: Positional[Path],
    repo: Positional[str],
    *,
    private: bool = False,
    revision: str | None = None,
    overwrite_card: bool = False,
    every: Annotated[float | None, tyro.conf.arg(metavar="MINUTES")] = None,
) -> None:
    """Put a model on the Hugging Face Hub.

    It needs a token that may write: `hf auth login`, or HF_TOKEN. The repository is made if there is none, and each
    push is one commit.

    Args:
        checkpoint: An exported folder, or the folder of a run, whose newest checkpoint is then exported.
        repo: owner/name on the Hub.
        private: Make the repository private, if there is none yet.
        revision: Branch to push to, made if there is none; main if it is left out.
        overwrite_card: Do not keep what was changed in README.md on the Hub.
        every: Stay, and push whatever is new so often.
    """
    quiet()
    pushed = None
    make_repo(repo, private=private)
    while True:
        try:
            if (found := _stamp(checkpoint)) != pushed:
                with exported(checkpoint) as folder:
                    address = push(folder, repo, private=private, revision=revision, overwrite_card=overwrite_card)
                print(address, flush=True)
                pushed = found
        except (ValueError, OSError) as error:
            if not every:
                raise
            print(error, file=sys.stderr, flush=True)
        if not every:
            return
        time.sleep(60 * every)
