"""How the page's handlers are called: politely, where there is a GPU, and only if there is something to draw.

Controls reach a handler by the names of its parameters (Gradio's `inputs_kwargs`).
"""

import functools
import inspect
import random
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from unit.demo.files import QUICK, RUN, politely
from unit.demo.zerogpu import gpu


def for_people(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of a part of the page whose mistakes become one sentence on it, in its language."""
    return politely(method, lambda part, *_: part.words)


def drawing(tab: object, handler: Callable[..., Any]) -> Callable[..., Any]:
    """A handler that draws, where it can: on ZeroGPU, in a process with a GPU, from which no control can come back.
    So what it gives may be called by the names of the tab's controls.
    """
    on_gpu = gpu(handler)

    def by_control(given: Any) -> Any:
        if not isinstance(given, dict) or given == gr.skip():  # which is a dict as well
            return given
        return {getattr(tab, name): value for name, value in given.items()}

    @functools.wraps(handler)
    def steps(*given: Any, **named: Any) -> Iterator[Any]:
        yield from map(by_control, on_gpu(*given, **named))

    @functools.wraps(handler)
    def call(*given: Any, **named: Any) -> Any:
        return by_control(on_gpu(*given, **named))

    return steps if inspect.isgeneratorfunction(handler) else call


def warned(fn: Callable[..., Any], left: Callable[..., Any]) -> Callable[..., Any]:
    """`fn`, but what it cannot do is one message, and no part of the page says "Error": `left` says what they show."""

    def steps(**named: Any) -> Iterator[Any]:
        try:
            yield from fn(**named)
        except gr.Error as error:
            gr.Warning(error.message)
            yield left(**named)

    def call(**named: Any) -> Any:
        try:
            return fn(**named)
        except gr.Error as error:
            gr.Warning(error.message)
            return left(**named)

    return steps if inspect.isgeneratorfunction(fn) else call


def if_given(fn: Callable[..., Any], *needed: str) -> Callable[..., Any]:
    """`fn`, run only if the inputs called `needed` are there."""
    return only_if(fn, lambda named: all(named[name] not in (None, "", []) for name in needed))


def only_if(
    fn: Callable[..., Any], wanted: Callable[[dict[str, Any]], bool], *unseen: str
) -> Callable[..., Any]:  # fmt: skip
    """`fn`, run only if its inputs are as `wanted`; else nothing changes. `fn` does not get those called `unseen`."""

    def seen(named: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in named.items() if name not in unseen}

    def call(**named: Any) -> Any:
        return fn(**seen(named)) if wanted(named) else gr.skip()

    def steps(**named: Any) -> Iterator[Any]:
        if wanted(named):
            yield from fn(**seen(named))
        else:
            yield gr.skip()

    return steps if inspect.isgeneratorfunction(fn) else call


class Turns:
    """What a visitor has asked for, by its number, which grows: what is asked for later counts. Part of the session."""

    def __init__(self) -> None:
        self.last = 0

    def begin(self, turn: Any) -> None:
        self.last = max(self.last, turn if isinstance(turn, int) else 0)

    def next(self, turn: Any) -> int:
        """The number of what is asked for after `turn`."""
        self.begin(turn)
        self.last += 1
        return self.last


def latest(fn: Callable[..., Any]) -> Callable[..., Any]:
    """`fn`, but its answer is dropped if something else was asked for meanwhile: it would change what is of that.

    turns, turn: those of the session, and the number of what `fn` is asked for.
    """

    def call(turns: Turns, turn: Any, **named: Any) -> Any:
        turns.begin(turn)
        try:
            answer = fn(**named)
        except gr.Error:
            if turn == turns.last:
                raise
        return answer if turn == turns.last else gr.skip()

    return call


def stoppable(
    listener: Any, cancel: gr.Button, fn: Callable[..., Iterator[Any]], inputs: dict[str, Any], outputs: list[Any]
) -> None:
    """`listener`, a button's `click`, say, runs `fn`, and while that runs `cancel` is there to stop it."""
    shown = listener(lambda: gr.Button(visible=True), None, cancel, **QUICK)
    running = shown.then(
        fn, outputs=outputs, inputs_kwargs=inputs, show_progress_on=outputs[0], **RUN | {"show_progress": "full"}
    )
    for ended in (running.then, running.failure):  # after a failure only the second happens
        ended(lambda: gr.Button(visible=False), None, cancel, **QUICK)
    cancel.click(lambda: gr.Button(visible=False), None, cancel, cancels=running, **QUICK)


def rolled(dice: gr.Button, seed: gr.Number) -> Any:
    """`dice` puts another number into `seed`. Gives the event."""
    return dice.click(lambda: random.randrange(10_000), None, seed, **QUICK)
