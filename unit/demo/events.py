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

    return steps if inspect.isgeneratorfunction(handler) else on_gpu


def warned(fn: Callable[..., Iterator[Any]], left: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
    """`fn`, but what it cannot do is one message, and no part of the page says "Error": `left` says what they show."""

    def steps(**named: Any) -> Iterator[Any]:
        try:
            yield from fn(**named)
        except gr.Error as error:
            gr.Warning(error.message)
            yield left(**named)

    return steps


def if_given(fn: Callable[..., Any], *needed: str, drawn: str = "") -> Callable[..., Any]:
    """`fn`, run only if the inputs called `needed` are there.

    `drawn`, if named, is the input that shows what `fn` drew before. It must be there too, and `fn` does not see it.
    """

    def there(named: dict[str, Any]) -> bool:
        return all(named[name] not in (None, "", []) for name in (*needed, drawn) if name)

    def seen(named: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in named.items() if name != drawn}

    def call(**named: Any) -> Any:
        return fn(**seen(named)) if there(named) else gr.skip()

    def steps(**named: Any) -> Iterator[Any]:
        if there(named):
            yield from fn(**seen(named))
        else:
            yield gr.skip()

    return steps if inspect.isgeneratorfunction(fn) else call


def stoppable(
    button: gr.Button, cancel: gr.Button, fn: Callable[..., Iterator[Any]], inputs: dict[str, Any], outputs: list[Any]
) -> None:
    """`button` runs `fn`, and while that runs `cancel` is there to stop it."""
    shown = button.click(lambda: gr.Button(visible=True), None, cancel, **QUICK)
    running = shown.then(fn, outputs=outputs, inputs_kwargs=inputs, show_progress_on=outputs[0], **RUN)
    for ended in (running.then, running.failure):  # after a failure only the second happens
        ended(lambda: gr.Button(visible=False), None, cancel, **QUICK)
    cancel.click(lambda: gr.Button(visible=False), None, cancel, cancels=running, **QUICK)


def rolled(dice: gr.Button, seed: gr.Number) -> Any:
    """`dice` puts another number into `seed`. Gives the event."""
    return dice.click(lambda: random.randrange(10_000), None, seed, **QUICK)
