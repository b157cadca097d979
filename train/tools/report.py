"""One page that tells a run, RUN/report.html: python -m train report RUN [-o FILE]"""

import base64
import html
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import tyro
from PIL import Image
from safetensors import SafetensorError, safe_open
from tyro.conf import Positional

from train.checkpointer import checkpoints
from train.command import command
from train.data.source import redact_path
from unit.checkpoint import write_atomic

GRIDS, WIDTH = 8, 1200  # sample grids on the page at most, and their width in pixels at most
POINTS = 400  # of a curve; of longer runs the means of as many stretches are drawn

CHARTS = {  # title -> the names in the log that it shows; what a run has not is left out
    "Reconstruction and cycle (L1)": ("recon", "cycle"),
    "Adversarial: generator, discriminator": ("gan", "d"),
    "KL, of photos and of translations": ("kl", "cycle_kl"),
    "Identity, perceptual": ("identity", "perceptual"),
    "KID to the target (smaller is better)": ("kid_ab", "kid_ba"),
    "Share judged as the target": ("success_ab", "success_ba"),
    "Distance to the input": ("content_ab", "content_ba"),
    "Photos a second": ("photos_per_second",),
    "Steps skipped, photos unreadable": ("skipped", "unreadable"),
}

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; color: #222 }}
.charts {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(22rem, 1fr)); gap: 1rem }}
figure {{ margin: 0 0 1rem }} svg, img {{ max-width: 100%; height: auto }} pre {{ overflow: auto; background: #f6f6f6 }}
</style>
<h1>{title}</h1>
<p>{facts}</p>
<h2>Curves</h2>
<div class="charts">{charts}</div>
<h2>Sample grids</h2>
<p>Held-out photos, a row a pair: x_a, reconstructed, in b, back in a; x_b, reconstructed, in a, back in b.</p>
{grids}
<details><summary>All options</summary><pre>{options}</pre></details>
</html>
"""


def report(run: Path) -> str:
    """The page, as HTML. Raises ValueError if `run` has no log."""
    rows = read_log(run / "metrics.jsonl")
    if not rows:
        raise ValueError(f"{run} holds no metrics.jsonl with lines: name the --run-dir of a run that has begun.")
    config = json.loads(metadata(run).get("config", "{}"))
    config |= {name: redact_path(config[name]) for name in ("data", "run_dir", "init") if name in config}
    last = {name: value for row in rows for name, value in row.items()}
    facts = [f"Step {int(last['step']):,}"]
    if "steps" in config:
        facts[0] += f" of {config['steps']:,}"
    if "seconds" in last:
        facts.append(f"{last['seconds'] / 3600:.2f} h")
    facts += [f"{name} {last[name]:g}" for name in ("skipped", "unreadable") if last.get(name)]
    charts = ((title, {name: curve(rows, name) for name in names}) for title, names in CHARTS.items())
    drawn = (chart(title, {name: points for name, points in curves.items() if points}) for title, curves in charts)
    return PAGE.format(
        title=html.escape(run.resolve().name),
        facts=html.escape(" · ".join(facts)),
        charts="\n".join(filter(None, drawn)),
        grids="\n".join(grids(run / "samples")) or "<p>None yet.</p>",
        options=html.escape(json.dumps(config, indent=1)),
    )


def read_log(path: Path) -> list[dict[str, float]]:
    """The lines of a log, but for one that is just being written."""
    rows = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def metadata(run: Path) -> Mapping[str, str]:
    """Of the newest checkpoint whose header can be read; its tensors are not."""
    for path in reversed(checkpoints(run)):
        try:
            with safe_open(path, "pt") as file:
                return file.metadata() or {}
        except (SafetensorError, OSError):
            continue
    return {}


def curve(rows: Sequence[Mapping[str, float]], name: str) -> list[tuple[float, float]]:
    """(step, value) of a name in the log; means of neighbours where there are more than `POINTS`."""
    points = [(row["step"], row[name]) for row in rows if name in row and math.isfinite(row[name])]
    together = math.ceil(len(points) / POINTS) or 1
    parts = (points[i : i + together] for i in range(0, len(points), together))
    return [(sum(s for s, _ in part) / len(part), sum(v for _, v in part) / len(part)) for part in parts]


def chart(title: str, curves: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """An SVG, for the inside of a page; nothing where there is nothing to show."""
    if not any(value for points in curves.values() for _, value in points):
        return ""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5, 3), layout="constrained")
    for name, points in curves.items():
        axes.plot(*zip(*points, strict=True), label=name, marker="." if len(points) == 1 else "", linewidth=1.2)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("step")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    data = io.StringIO()
    figure.savefig(data, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    svg = data.getvalue()
    alt = html.escape(title, quote=True)
    return f'<figure role="img" aria-label="{alt}">{svg[svg.index("<svg") :]}</figure>'


def grids(folder: Path) -> list[str]:
    """The last, the first and some between, evenly: at most `GRIDS`."""
    paths = sorted(folder.glob("step-*.png"))
    n = min(GRIDS, len(paths))
    chosen = [paths[round(i * (len(paths) - 1) / max(n - 1, 1))] for i in range(n)]
    figures = []
    for path in reversed(chosen):
        data = io.BytesIO()
        try:
            with Image.open(path) as image:
                image.thumbnail((WIDTH, 10 * WIDTH))
                image.convert("RGB").save(data, "JPEG", quality=85)
        except OSError as error:
            figures.append(f"<p>{html.escape(path.name)} cannot be read: {html.escape(str(error))}</p>")
            continue
        source = f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"
        caption = f"Step {int(path.stem.split('-')[1]):,}"
        figures.append(f'<figure><figcaption>{caption}</figcaption><img src="{source}" alt="{caption}"></figure>')
    return figures


@command("report")
def main(
    run: Positional[Path], *, out: Annotated[Path | None, tyro.conf.arg(aliases=("-o",), metavar="FILE")] = None
) -> None:
    """One page that tells a run.

    Writes its options, its curves (losses, measures, speed, steps skipped) and sample grids over time. The page holds
    all of it, loads nothing, and can be mailed. It may be made while the run goes on.

    Args:
        run: Folder of the run.
        out: File to write; report.html in that folder if it is left out.
    """
    out = out or run / "report.html"
    write_atomic(out, report(run).encode())
    print(f"wrote {out}")
