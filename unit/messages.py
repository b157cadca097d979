"""Sentences for people, kept as a text with places and what fills them, so that a page can say them in its language."""

from collections.abc import Mapping
from typing import NamedTuple


class Message(NamedTuple):
    """A sentence. `str` gives it in English."""

    text: str  # with {places}; without values it is taken as it is, braces and all
    values: Mapping[str, object] = {}  # lists are said as "one or other"

    def __str__(self) -> str:
        said = {name: " or ".join(map(str, v)) if isinstance(v, list) else v for name, v in self.values.items()}
        return self.text.format(**said) if said else self.text


class MessageError(ValueError):
    """An error that is one sentence for a person: `MessageError("{name} is empty.", name="a.png")`."""

    def __init__(self, text: str, /, **values: object):
        self.message = Message(text, values)
        super().__init__(str(self.message))
