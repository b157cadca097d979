"""What there is to say about a checkpoint, as Markdown: the network, its measures, and its card."""

import json
import re
from pathlib import Path
from typing import Any

from unit.hub import CARD, METRICS
from unit.pipeline import Translator


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
        text = path.read_text(encoding="utf-8") if path else ""
    except (OSError, ValueError):
        return ""
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->|</?[a-zA-Z][^>]*>", "", text, flags=re.DOTALL)
    text = re.sub(r"!\[[^\]]*\](\([^)]*\)|\[[^\]]*\])?", "", text)
    return re.sub(r"<(?=[a-zA-Z/!])", "&lt;", text).replace("![", "[")  # what was written so that the above misses it


_UNMEASURED = "There are no measures of these weights here."
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
