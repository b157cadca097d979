"""What there is to say about a checkpoint, as Markdown: the network, its measures, and its card."""

import json
import re
from pathlib import Path
from typing import Any

from unit.checkpoint import CARD, METRICS
from unit.demo.i18n import ENGLISH, Words
from unit.models.munit import MUNITConfig
from unit.models.unit import UNITConfig
from unit.pipeline import Translator


def facts(translator: Translator, folder: Path | None, words: Words = ENGLISH) -> str:
    """The network in some lines and the table of its measures, from `folder`/metrics.json if that can be read."""
    config = translator.config
    a, b = translator.domains
    lines = [words("- **Turns** {a} into {b} and {b} into {a}, and reconstructs each.", a=a, b=b)]
    if isinstance(config, UNITConfig):
        shared = config.n_res_shared
        lines += [
            words(
                "- **Network**: {number:.1f} million parameters for both domains, layout `{layout}`; the last {blocks} "
                "of both encoders and the first of both decoders are shared.",
                number=translator.parameters / 1e6,
                layout=config.layout,
                blocks=words("residual block") if shared == 1 else words("{n} residual blocks", n=shared),
            ),
            words("- **Latent**: {n} numbers for every {d} x {d} pixels.", n=4 * config.dim, d=config.downsampling),
        ]
    if isinstance(config, MUNITConfig):
        lines += [
            words(
                "- **Network**: {number:.1f} million parameters for both domains, layout `{layout}`.",
                number=translator.parameters / 1e6, layout=config.layout,
            ),
            words(
                "- **Content**: {n} numbers for every {d} x {d} pixels. **Style**: {s} numbers for the whole photo.",
                n=4 * config.dim, d=config.downsampling, s=config.style_dim,
            ),
        ]  # fmt: skip
    lines.append(words("- **Trained on** crops of {n} pixels.", n=config.image_size))
    return "\n".join([*lines, "", measures(folder, words)])


def measures(folder: Path | None, words: Words = ENGLISH) -> str:
    """The rows of metrics.json as a Markdown table, with floor (the photo as it is) and ceiling (real photos)."""
    try:
        results = json.loads(_text(folder / METRICS)) if folder else None
        return _table(results, words) if results else words(_UNMEASURED)
    except Exception:  # no such file, or not one of ours: it may come from anybody
        return words(_UNMEASURED)


def card(folder: Path | None) -> str:
    """The README.md of a checkpoint without what only the Hub reads; empty if there is none.

    Headings become smaller than those of the page.
    """
    return re.sub(r"^(#{1,4}) ", r"##\1 ", _harmless(folder / CARD if folder else None), flags=re.MULTILINE).strip()


def credits(folder: Path | None) -> str:
    """What is said of the example photos beside a checkpoint; empty if nothing is."""
    return _harmless(folder / "examples" / CARD if folder else None).strip()


def _harmless(path: Path | None) -> str:
    """Markdown that may come from anybody, empty if there is none.

    Pictures are left out, for they would make every visitor ask another host for them, and so is HTML.
    """
    try:
        text = _text(path) if path else ""
    except (OSError, ValueError):
        return ""
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?(-->|\Z)|</?[a-zA-Z][^<>]*>", "", text, flags=re.DOTALL)
    text = re.sub(r"!\[[^\[\]]*\](\([^()]*\)|\[[^\[\]]*\])?", "", text)
    # And what was written so that the above misses it.
    return re.sub(r"!+(?=\[)", "", re.sub(r"<(?=[a-zA-Z/!])", "&lt;", text))


def _text(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.read(_MOST)


def _plain(value: object) -> str:
    """A text without what begins a picture, a link, HTML or another cell: for the middle of Markdown."""
    return re.sub(r"[\[\]<>|`!\\\n]", "", str(value))


_MOST = 200_000  # characters that are read of a file
_UNMEASURED = "There are no measures of these weights here."
_FIRST = ("KID", "success (linear probe)", "distance to the input")  # what matters most; the others are folded away
_COLUMNS = ("drawn", "untranslated", "real")


def _number(value: float | None, words: Words) -> str:
    return words("not a number") if value is None else f"{value:.3f}" if abs(value) < 10 else f"{value:.0f}"


def _table(results: dict[str, Any], words: Words) -> str:
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for row in results["rows"]:
        column = row["of"] if row["of"] in _COLUMNS else "drawn"
        cells.setdefault((_plain(row["metric"]), _plain(row["direction"])), {})[column] = _number(row["value"], words)
    features, data, size = (_plain(results[name]) for name in ("features", "data", "size"))
    judged = words("Judged by {judge} on held-out photos of `{data}`, {n} px.", judge=features, data=data, n=size)
    head = [words("| | | translated | the photo as it is | real photos |"), "|---|---|---|---|---|"]
    rows = {
        key: f"| {words(key[0])} | {words.value(key[1])} | {' | '.join(of.get(c, '') for c in _COLUMNS)} |"
        for key, of in cells.items()
    }
    first = [row for (metric, _), row in rows.items() if metric in _FIRST] or list(rows.values())
    others = [row for row in rows.values() if row not in first]
    summary = words("All other measures")
    folded = [f"<details><summary>{summary}</summary>", "", *head, *others, "", "</details>"] if others else []
    return "\n".join([judged, "", *head, *first, "", *folded])
