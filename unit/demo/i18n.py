"""The languages of the page.

English is the language of the code: a text is its own key, as it stands there, with {places} for names and numbers.
One that is not in a language's table stays English.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from unit.demo.locale import zh_tw
from unit.messages import Message

# The end of a line within a Chinese sentence, which Markdown would make a space.
_CHINESE = "[\u3000-\u9fff\uff00-\uffef]"
_LINE_END = re.compile(rf"^(?!#)(.*{_CHINESE})\n(?={_CHINESE})", re.MULTILINE)


@dataclass(frozen=True)
class Words:
    """A language: call it with a text in English, and with what fills its places.

    language: what HTML calls it. name: what its readers call it. path: of its page, after the address of the app.
    """

    language: str
    name: str
    path: str
    table: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, text: str, /, **values: object) -> str:
        said = _LINE_END.sub(r"\1", self.table.get(text, text))
        return said.format(**{name: self.value(value) for name, value in values.items()}) if values else said

    def message(self, message: Message) -> str:
        return self(message.text, **message.values)

    def value(self, value: object) -> object:
        """What fills a place. Texts are translated, on both sides of an arrow each for itself, and lists are joined."""
        if isinstance(value, str):
            return " → ".join(self.table.get(part, part) for part in value.split(" → "))
        if isinstance(value, list | tuple):
            return self(" or ").join(str(self.value(item)) for item in value)
        return value


ENGLISH = Words("en", "English", "")
CHINESE = Words("zh-TW", "中文", "zh-tw", zh_tw.TABLE)
