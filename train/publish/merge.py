"""A card on the Hub that a person has edited there keeps the edits when the program pushes its own again.

Each push ends its text with a mark, a comment that tells what the program wrote. So the next push can tell a person's
words from the program's: those before and after the program's part stay, and so do changed entries of the front matter.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import yaml
from huggingface_hub import CardData, RepoCard

BEGIN = "<!-- Written by the program"  # in train/publish/card.py
END = "<!-- End of the program's part: {} Words before and after it are kept. -->"
END_FOUND = re.compile("(.*)".join(map(re.escape, END.split("{}"))))
MEASURED = "model-index", "training"  # front matter that belongs to the weights, so that it is always the program's


def marked(card: str) -> str:
    """The card with the mark at its end."""
    ours = RepoCard(card, ignore_metadata_errors=True)
    facts = {name: value for name, value in ours.data.to_dict().items() if name not in MEASURED}
    mark = END.format(json.dumps({"digest": _digest(ours.text[_begin(ours.text) :]), "facts": facts}))
    return _card(ours.data.to_dict(), f"{ours.text.rstrip()}\n\n{mark}\n")


def merged(card: str, there: str) -> str | None:
    """The card, marked, with what a person has changed in the one that is `there`.

    None where that cannot be told: the card there has no mark, or the program's own part of it was changed.
    """
    try:
        theirs = RepoCard(there.replace("\r\n", "\n"), ignore_metadata_errors=True)
        ours = RepoCard(marked(card), ignore_metadata_errors=True)
        if not theirs.text.strip():  # as the Hub makes one for a new repository with a licence
            return _card(ours.data.to_dict() | theirs.data.to_dict(), ours.text)
        end = END_FOUND.search(theirs.text)
        mark = json.loads(end[1]) if end else {}
    except (ValueError, yaml.YAMLError):
        return None
    begin = _begin(theirs.text)
    if not end or _digest(theirs.text[begin : end.start()]) != mark.get("digest"):
        return None
    text = theirs.text[:begin] + ours.text[_begin(ours.text) :].rstrip() + theirs.text[end.end() :]
    return _card(_facts(ours.data.to_dict(), theirs.data.to_dict(), mark["facts"]), text)


def _facts(ours: Mapping[str, Any], theirs: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The front matter: ours, but for what a person has changed, added or removed since `before` was pushed."""
    names = {**ours, **theirs, **before}
    changed = {name for name in names if theirs.get(name) != before.get(name) and name not in MEASURED}
    sources = {name: theirs if name in changed else ours for name in names}
    return {name: source[name] for name, source in sources.items() if name in source}


def _begin(text: str) -> int:
    """Where the program's part begins; a card that somebody wrote beside the weights is that part as a whole."""
    return max(0, text.find(BEGIN))


def _digest(text: str) -> str:
    return hashlib.blake2b(text.strip().encode(), digest_size=8).hexdigest()


def _card(facts: Mapping[str, Any], text: str) -> str:
    return f"---\n{CardData(**facts).to_yaml()}\n---\n{text}" if facts else text
