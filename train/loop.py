"""The algorithm on one screen: read, step, save, tell; stop when told to. The step itself is in train/step.py."""

import signal
import time
from pathlib import Path

import torch
from safetensors import SafetensorError
from tqdm import tqdm

from train.callbacks import Callbacks
from train.checkpointer import check_writable
from train.checks import check_options
from train.compile import compile_networks
from train.config import TrainConfig
from train.data.batches import reading
from train.data.check import Unreadable, check_data
from train.data.source import DataError
from train.parallel import (
    all_gather,
    all_reduce_max,
    catch_signals,
    first_before_others,
    lock_folder,
    processes,
    rank,
    world,
)
from train.state import TrainState, progress
from train.step import train_step
from unit.pipeline import memory_format

MAX_UNSAVED = 3  # saves in succession that may fail


def train(config: TrainConfig) -> Path:
    """Train, or go on with, the run in `config.run_dir`. Returns the path of the last checkpoint.

    Started in many processes, all of them call this; the first one writes. SIGTERM saves and returns, Ctrl-C saves and
    raises KeyboardInterrupt. Raises ValueError, with what to do about it, for options, data and training gone wrong.
    """
    with processes(config.engine.device) as device:
        check_options(config, world(), device)
        check_writable(config.run_dir)
        with lock_folder(config.run_dir):
            state, resumed = start(config, device)
            callbacks = Callbacks(state) if rank() == 0 else None

            layout, unreadable, unsaved = memory_format(device), Unreadable(config), 0
            heard: list[signal.Signals] = []  # by any of the processes, each of which has a list of its own
            started, first_step = time.monotonic() - state.seconds, state.step
            with catch_signals() as caught, reading(config, state.step, caught, device) as batches:
                for x_a, x_b, failed in batches:
                    if progress(config, state.step, state.seconds) == 1:  # by the clock
                        break
                    if all_reduce_max(bool(caught or failed), device):  # seldom; then all hear what each has met
                        count_unreadable(state, unreadable, all_gather(failed))
                        if heard := all_gather(caught):
                            break  # before the step, for which a photo may be missing here
                    x_a, x_b = (x.to(device, memory_format=layout, non_blocking=True) for x in (x_a, x_b))
                    losses = train_step(state, x_a, x_b)

                    state.seconds = time.monotonic() - started
                    if config.optim.minutes:  # by the clock that is furthest, so that all stop at one step
                        state.seconds = all_reduce_max(state.seconds, device)
                    if state.step % config.log.save_every == 0 and not caught:
                        unsaved = save(state, unsaved)  # before what may take long, or fail
                    if callbacks:
                        callbacks.after_step(losses, len(unreadable), caught)
                path = state.save() if state.step > first_step or not resumed else resumed
            if callbacks:
                callbacks.close(path, heard or caught)
            if signal.SIGINT in heard or signal.SIGINT in caught:
                raise KeyboardInterrupt
            return path


def start(config: TrainConfig, device: torch.device) -> tuple[TrainState, Path | None]:
    """Build the networks or read them from the newest checkpoint, whose path is returned too; then check the data.

    Reading through the data is the longest of it: whatever else there is to refuse, or to go on from, comes before.
    """
    state = TrainState.build(config, device)
    resumed = state.resume()
    check_same_step(state)
    with first_before_others():  # The first process may have a store of photos to fill, which the others then find.
        report = check_data(config)
    compile_networks(state)
    if rank() == 0:
        print(report, f"going on from {resumed}{state.changes}" if resumed else "", sep="\n")
        if resumed and config.init:
            print(f"--init {config.init} is for new runs, and changes nothing here.")
    return state, resumed


def count_unreadable(state: TrainState, unreadable: Unreadable, names: list[str]) -> None:
    """Note photos that could not be read. Raises DataError, with the run saved, when they are too many."""
    try:
        unreadable.add(names)
    except DataError:
        state.save()
        raise


def check_same_step(state: TrainState) -> None:
    """Raises ValueError in all processes where one of them has found another checkpoint than the others, or none."""
    first, last = -all_reduce_max(-state.step, state.device), all_reduce_max(state.step, state.device)
    if first != last:
        raise ValueError(
            f"the processes found checkpoints of steps {first:.0f} to {last:.0f}: "
            f"--run-dir {state.config.run_dir} must be one folder that all of them share and can read."
        )


def save(state: TrainState, unsaved: int) -> int:
    """A checkpoint, but not in the middle of skipped steps. Returns how many saves have now failed in a row."""
    if state.skipped_in_a_row:
        return unsaved
    try:
        state.save()
        return 0
    except (OSError, SafetensorError) as error:  # a full disk may have room again before the next
        if unsaved + 1 >= MAX_UNSAVED:
            raise
        again = state.config.log.save_every
        tqdm.write(f"step {state.step} could not be saved: {error}; trying again in {again} steps")
        return unsaved + 1
