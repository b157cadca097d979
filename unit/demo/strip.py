"""The results of this visit in a row, to come back to.

How a page uses it:

    strip, history = results_strip(words, "strip"), gr.State(History)    # or gr.State(History())
    history = history.push(Result(before, after, name, settings))        # after each result
    history = history.select(event.index)     in a handler of strip.select, whose event: gr.SelectData
    history = history.undo()                  in the handler of an undo button: what was shown before this
    strip's value = history.value()           after each of these
    history.current                           the Result to show again, with its settings; None if there is none

A History never changes: each of these gives another one. The page's session keeps it (gr.State), and it holds the names
of files and nothing else of a visitor's; the files are cleared away with all others, and their results with them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from html import escape
from itertools import dropwhile
from pathlib import Path
from typing import Any

import gradio as gr

from unit.demo.i18n import Words

LONGEST = 12  # results
STYLE = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Result:
    """What a visitor can come back to.

    before, after: files within Gradio's cache. name: what the result shows, in the language of the page. settings: the
    photo, and all that the page needs to show itself as it was; History does not look at them.
    """

    before: str
    after: str
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def is_there(self) -> bool:
        return Path(self.before).is_file() and Path(self.after).is_file()


@dataclass(frozen=True)
class History:
    """The results of a visit by their numbers, oldest first, and the numbers of what was shown, in that order."""

    results: dict[int, Result] = field(default_factory=dict)
    shown: tuple[int, ...] = ()

    @property
    def current(self) -> Result | None:
        """What is shown: the last of what was shown, as far as its files are still there."""
        return next((self.results[number] for number in self._there()), None)

    def push(self, result: Result) -> "History":
        """A new result is shown. If there are more than LONGEST, the oldest goes. None is there twice."""
        if result == self.current:
            return self
        others = {number: other for number, other in self.results.items() if other.is_there() and other != result}
        number = max(self.results, default=-1) + 1
        kept = dict([*others.items(), (number, result)][-LONGEST:])
        return History(kept, (*(n for n in self.shown if n in kept), number))

    def select(self, number: int) -> "History":
        """The result of that number is shown again; if it is gone, what is shown stays."""
        there = number in self.results and self.results[number].is_there()
        return replace(self, shown=(*self.shown, number)[-100:]) if there else self

    def undo(self) -> "History":
        """What was shown before this is shown again. Of the first one, nothing changes."""
        earlier = [*dropwhile(lambda number: self.results[number] == self.current, self._there())]
        return replace(self, shown=tuple(reversed(earlier))) if earlier else self

    def can_undo(self) -> bool:
        """Whether anything else was shown before this."""
        return self.undo().current not in (None, self.current)

    def value(self) -> dict[str, Any]:
        """What `results_strip` shows: the results whose files are there, the newest first."""
        items = [
            {"number": number, "name": result.name, "picture": gr.FileData(path=result.after).model_dump()}
            for number, result in reversed(self.results.items())
            if result.is_there()
        ]
        return {"items": items, "current": next(self._there(), None)}

    def _there(self) -> Iterator[int]:
        """The numbers of what was shown and is still there, the last first."""
        return (n for n in reversed(self.shown) if n in self.results and self.results[n].is_there())


def results_strip(words: Words, elem_id: str) -> gr.HTML:
    """The row of results, which takes no room while there are none. `select` gives the number of one as `index`."""
    label = escape(words("Results of this visit"))
    template = f'<nav class="strip" aria-label="{label}"><ul class="row"></ul></nav>'
    return gr.HTML(
        {"items": []}, html_template=template, css_template=STYLE, js_on_load=SCRIPT, apply_default_css=False,
        elem_id=elem_id,
    )  # fmt: skip
