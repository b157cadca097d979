"""What there is to say about a checkpoint, as Markdown: the network, its measures, and its card."""

import json
import re
from pathlib import Path
from typing import Any

from unit.hub import CARD
from unit.pipeline import Translator

METRICS = "metrics.json"  # beside the weights, if they were measured (train/evaluate.py)


def facts(translator: Translator, folder: Path | None) -> str:
    """The network in some lines and the table of its measures, from `folder`/metrics.json if that can be read."""
    config = translator.config
    a, b = translator.domains
    lines = [
        f"- **Draws** {a} as {b} and {b} as {a}, and each as itself.",
        f"- **Network**: {translator.parameters / 1e6:.1f} million parameters for both domains, layout "
        f"`{config.layout}`; the last {_blocks(config.n_res_shared)} of both encoders and the first of both decoders "
        "are shared.",
        f"- **Latent**: {4 * config.dim} numbers for every {config.downsampling} x {config.downsampling} pixels.",
        f"- **Trained on** crops of {config.image_size} pixels.",
    ]
    return "\n".join([*lines, "", measures(folder)])


def measures(folder: Path | None) -> str:
    """The rows of metrics.json as a Markdown table, with floor (the photo as it is) and ceiling (real photos)."""
    try:
        results = json.loads((folder / METRICS).read_text(encoding="utf-8")) if folder else None
        return _table(results) if results else _UNMEASURED
    except (OSError, ValueError, KeyError, TypeError):  # no such file, or not one of ours
        return _UNMEASURED


def card(folder: Path | None) -> str:
    """The README.md of a checkpoint without what only the Hub reads; empty if there is none.

    A card may come from anybody. Pictures are left out, for they would make every visitor ask another host for them,
    and so is HTML. Headings become smaller than those of the page.
    """
    try:
        text = (folder / CARD).read_text(encoding="utf-8") if folder else ""
    except (OSError, ValueError):
        return ""
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->|</?[a-zA-Z][^>]*>", "", text, flags=re.DOTALL)
    text = re.sub(r"!\[[^\]]*\](\([^)]*\)|\[[^\]]*\])?", "", text)
    text = re.sub(r"<(?=[a-zA-Z/!])", "&lt;", text).replace("![", "[")  # what was written so that the above misses it
    return re.sub(r"^(#{1,4}) ", r"##\1 ", text, flags=re.MULTILINE).strip()


_UNMEASURED = "No measures of these weights have been published yet."
_COLUMNS = ("drawn", "untranslated", "real")


def _number(value: float | None) -> str:
    return "not a number" if value is None else f"{value:.3f}" if abs(value) < 10 else f"{value:.0f}"


def _blocks(n: int) -> str:
    return "residual block" if n == 1 else f"{n} residual blocks"


def _table(results: dict[str, Any]) -> str:
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for row in results["rows"]:
        column = row["of"] if row["of"] in _COLUMNS else "drawn"
        cells.setdefault((row["metric"], row["direction"]), {})[column] = _number(row["value"])
    head = [
        f"Judged by {results['features']} on held-out photos of `{results['data']}`, {results['size']} px.",
        "",
        "| | | drawn | the photo as it is | real photos |",
        "|---|---|---|---|---|",
    ]
    rows = [f"| {m} | {way} | {' | '.join(of.get(c, '') for c in _COLUMNS)} |" for (m, way), of in cells.items()]
    return "\n".join([*head, *rows])
