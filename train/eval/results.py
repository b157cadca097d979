"""The table of what was measured: one form of it, for metrics.md, the model card and the docs."""

from collections.abc import Mapping
from typing import Any

from train.eval.extractors import EfficientNetLite2

Row = dict[str, Any]  # "metric", "features", "direction", "of", "value", "low", "high", "n": see `evaluate`


def table(results: Mapping[str, Any]) -> str:
    """What metrics.json holds, as Markdown."""
    lines = [
        f"Judged by {results['features']} on held-out photos of `{results['data']}`, {results['size']} px "
        f"({results['date']}, {results['hardware']}).",
        "",
        "| | | translated | untranslated | real photos |",
        "|---|---|---|---|---|",
    ]
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for row in results["rows"]:
        column = row["of"] if row["of"] in ("untranslated", "real") else "translated"
        cells.setdefault((row["metric"], row["direction"]), {})[column] = _cell(row)
    order = list(dict.fromkeys(metric for metric, _ in cells))  # both directions one below the other
    for (metric, direction), of in sorted(cells.items(), key=lambda item: order.index(item[0][0])):
        lines.append(f"| {metric} | {direction} | {' | '.join(of.get(c, '') for c in _COLUMNS)} |")
    notes = [_HOW_TO_READ.format(eye=EfficientNetLite2.name)]
    if any(metric.startswith("nearer to its example") for metric in order):
        notes.append(_OF_STYLES)
    return "\n".join([*lines, "", *notes])


_COLUMNS = ("translated", "untranslated", "real")
_HOW_TO_READ = """\
- In brackets: 95 % bootstrap intervals over the photos; n: their number.
- **KID, FID**: between these pictures and the held-out photos of the target; smaller is better. Real photos: as many
  training photos of the target. FID grows as n shrinks: compare it within its row, not with numbers from elsewhere.
- **success**: share taken for the target, by a linear probe fitted to the features of the training photos, or by the
  likeliest ImageNet class ({eye}).
- **distance, diversity**: 1 - cosine between the feature maps of {eye}, 0 for equal pictures. Real photos: two
  different ones of one domain. Diversity: two translations of one photo with different noise.
- **L1**: mean absolute difference, where black to white is 1.
- **colours**: share of pictures whose middle has a mean colour (L*a*b*) that is further from the usual than 99 % of the
  target's training photos are. **Weave**: root mean square, in grey levels of 255, of patterns with periods of 2 to 8
  pixels where the photo is smooth."""
_OF_STYLES = """\
- **nearer to its example**: share of translations in the style of an example that are nearer to that example than the
  same photo's translation in a random style is; 0.5 where styles change nothing. Colour: mean and standard deviation of
  L*, a*, b*. Texture: strength of the details of 2 to 16 pixels."""


def _cell(row: Row) -> str:
    if row["value"] is None:
        return "not a number"
    interval = "" if None in (row["low"], row["high"]) else f" [{row['low']:.3f}, {row['high']:.3f}]"
    return f"{row['value']:.3f}{interval} n={row['n']}"
