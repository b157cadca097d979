"""What a run does beside its steps: progress, lines of numbers, grids of pictures, measures, pushes to the Hub."""

import io
import json
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from torch import Tensor
from torchvision.utils import save_image
from tqdm import tqdm

from train.data.batches import held_out_photos
from train.state import TrainState
from unit.checkpoint import write_atomic
from unit.pipeline import Translator


class Callbacks:
    """What the first process does beside the steps: progress, log, sample grids, measures, pushes to the Hub."""

    def __init__(self, state: TrainState):
        config = self.config = state.config
        self.state = state
        self.log = Log(config.run_dir, state.step, tensorboard=config.log.tensorboard)
        self.held_out = held_out_photos(config, 4)
        self.measure = self.pusher = None
        if config.log.evaluate_every:
            from train.eval.evaluate import Measure

            self.measure = Measure(config)
        if config.hub.push_to:
            from train.publish.push import Pusher

            self.pusher = Pusher(config)
        self.bar = tqdm(total=config.optim.steps, initial=state.step, unit="step", smoothing=0.05)

    def after_step(self, losses: dict[str, Tensor], unreadable: int, told: list[signal.Signals]) -> None:
        config, state = self.config, self.state
        every = config.log
        self.bar.update()
        if state.step % every.log_every == 0:
            values = {name: float(value) for name, value in losses.items()}
            rate = 2 * config.data.batch_size * (self.bar.format_dict["rate"] or 0)
            self.bar.set_postfix({name: f"{value:.3f}" for name, value in values.items()} | {"photos/s": f"{rate:.1f}"})
            facts = {"seconds": state.seconds, "photos_per_second": rate}
            self.log.write(state.step, facts | values | {"skipped": state.skipped, "unreadable": unreadable})
        if told:  # whoever told it to stop will not wait
            return
        if self.held_out and state.step % every.sample_every == 0:
            save_grid(state, *self.held_out)
        if self.measure and state.step % every.evaluate_every == 0:
            self.log.write(state.step, self.measure(state.ema))
        if self.pusher and state.step % config.hub.push_every == 0:
            self.pusher.push(state)

    def close(self, path: Path, told: list[signal.Signals]) -> None:
        self.bar.close()
        self.log.close()
        if told:
            print(f"{told[0].name}: saved {path}; the same command goes on from it")
        if self.pusher and not told:
            self.pusher.push(self.state)
        if self.pusher:
            self.pusher.close(timeout=10 if told else 600)  # whoever told it to stop will not wait


class Log:
    """`metrics.jsonl` in the run folder, and the same numbers for TensorBoard if it is wanted."""

    def __init__(self, run: Path, step: int, *, tensorboard: bool = False):
        """`step`: where the run goes on. Lines of later steps, undone by a kill, are dropped: they will come again."""
        self.path = run / "metrics.jsonl"
        forget_after(self.path, step)
        self.writer = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        line = {"step": step} | {name: float(f"{value:.5g}") for name, value in values.items()}
        with not_fatal("the log"), open(self.path, "a") as file:
            file.write(json.dumps(line) + "\n")
        if self.writer:
            with not_fatal("TensorBoard's log"):
                for name, value in values.items():
                    self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        if self.writer:
            self.writer.close()


def forget_after(path: Path, step: int) -> None:
    """Drop the lines of later steps, and a line that was cut short."""
    if not path.is_file():
        return
    lines, kept = path.read_text().splitlines(keepends=True), []
    for line in lines:
        with suppress(ValueError):
            if json.loads(line)["step"] <= step and line.endswith("\n"):
                kept.append(line)
    if kept != lines:
        with not_fatal("the log"):
            write_atomic(path, "".join(kept).encode())


@contextmanager
def not_fatal(what: str) -> Iterator[None]:
    """A disk that is full for an hour should not end a run of a week: say what could not be written, and go on."""
    try:
        yield
    except OSError as error:
        tqdm.write(f"{what} could not be written: {error}")


def save_grid(state: TrainState, x_a: Tensor, x_b: Tensor) -> None:
    """samples/step-N.png from the averaged generator: a row a photo: x_a, x_aa, x_ab, x_aba, x_b, x_bb, x_ba, x_bab."""
    translator = Translator(state.ema, state.device)
    a, b = translator.domains
    columns: list[Tensor] = []
    for x, here, there in ((x_a, a, b), (x_b, b, a)):
        drawn = translator.translate_batch(x, here, there)
        columns += [x, translator.translate_batch(x, here, here), drawn, translator.translate_batch(drawn, there, here)]
    rows = torch.stack([c.expand(-1, 3, -1, -1) for c in columns], dim=1).flatten(0, 1)
    path = state.config.run_dir / "samples" / f"step-{state.step:08d}.png"
    with not_fatal("the sample grid"):
        path.parent.mkdir(exist_ok=True)
        png = io.BytesIO()
        save_image(rows, png, nrow=len(columns), normalize=True, value_range=(-1, 1), format="png")
        write_atomic(path, png.getvalue())
