"""From a run to what people load: python -m train export RUN checkpoints/NAME"""

import io
import json
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from tyro.conf import Positional

from train.checkpointer import Checkpointer
from train.command import command
from train.config import TrainConfig
from train.data.batches import held_out_photos
from train.data.source import DataError, redact_path
from train.publish.card import SAMPLES, TRAINING, UNKNOWN, read_json, write_card
from unit.checkpoint import DISCRIMINATORS, METRICS, WEIGHTS, save_pretrained, write_atomic
from unit.hub import load_pretrained
from unit.images import to_image
from unit.models import MODELS
from unit.models.protocol import Domain, Model
from unit.pipeline import Translator

PHOTOS = 4  # of each domain in the grid
CELL = 160  # pixels: the least side of a picture in it, so that there is room for its label


def export(
    run: Path,
    folder: Path,
    notes: str | None = None,
    license: str | None = None,
    data: str | None = None,
    blend: str = "",
    share: float = 0.5,
    with_discriminators: bool = False,
) -> Path:
    """Write the newest checkpoint's averaged generator into `folder`. Returns the folder.

    `notes` is Markdown that ends the card: limits, results, thanks. `license` is the Hub's name for that of the
    weights, which may depend on the photos. None of either: as the folder has it, or none and "unknown". `data` is
    where the photos of the grid are, if no longer where the run had them. `blend` is a folder or a repository of the
    Hub whose weights are blended in, see `blended`. `with_discriminators` adds those, in fp16, so that another run can
    go on from the folder with them (`--init`). Raises ValueError if `run` has no checkpoint.
    """
    if (newest := Checkpointer(run).load_newest()) is None:
        raise ValueError(f"{run} holds no checkpoint yet; they are written every --save-every steps.")
    _, tensors, metadata = newest
    config = TrainConfig.from_saved(json.loads(metadata["config"]))
    _, model_class = MODELS[config.model.model]
    model: Model = model_class(config.model)
    model.load_state_dict({k.removeprefix("ema."): tensor for k, tensor in tensors.items() if k.startswith("ema.")})
    told = ""
    if blend:
        model.load_state_dict(blended(model, load_pretrained(blend), share))
        told = f"{share:g} of it and {1 - share:g} of the weights in {redact_path(blend)}"
    try:
        photos = held_out_photos(config.replace(data=data or config.data.source), PHOTOS)
    except DataError:
        if data:
            raise
        photos = None  # the run was made elsewhere
    write_checkpoint(folder, model, metadata, photos, notes, license, told)
    (folder / DISCRIMINATORS).unlink(missing_ok=True)  # of other weights
    if with_discriminators:
        kept = {k: t.half().contiguous() for k, t in tensors.items() if k.startswith(("discriminator.", "look."))}
        write_atomic(folder / DISCRIMINATORS, safetensors.torch.save(kept))
    return folder


def blended(model: Model, other: Model, share: float) -> dict[str, Tensor]:
    """share * model + (1 - share) * other, weight by weight, of two networks of which one went on from the other.

    A model soup (Wortsman et al. 2022, arXiv:2203.05482): often better than either. Raises ValueError for a share that
    is none, and for networks that are not built alike.
    """
    if not 0 < share < 1:
        raise ValueError(f"--share is {share:g}: it must be between 0 and 1.")
    one, two = model.state_dict(), other.state_dict()
    if {k: w.shape for k, w in one.items()} != {k: w.shape for k, w in two.items()}:
        raise ValueError("--blend names a network that is not built like this one.")
    return {key: torch.lerp(two[key], weight, share) for key, weight in one.items()}


def write_checkpoint(
    folder: Path,
    model: Model,
    metadata: Mapping[str, str],
    photos: tuple[Tensor, Tensor] | None,
    notes: str | None = None,
    license: str | None = None,
    blend: str = "",
) -> None:
    """What `export` writes, for a model with the metadata of its training state; `photos` (x_a, x_b) make the grid."""
    config = TrainConfig.from_saved(json.loads(metadata["config"]))
    config = config.replace(
        data=redact_path(config.data.source), init=redact_path(config.init), run_dir=Path(config.run_dir.name)
    )
    kept = read_json(folder / TRAINING) or {}
    facts = {
        "step": int(metadata["step"]),
        "seconds": float(metadata["seconds"]),
        "device": metadata.get("device", "CPU"),
        "parameters": sum(p.numel() for p in model.parameters()) / 1e6,
        "blend": blend,
        "license": license or kept.get("license", UNKNOWN),
        "notes": kept.get("notes", "") if notes is None else notes,
        "config": json.loads(config.to_json()),
    }
    before = _bytes(folder / WEIGHTS)
    save_pretrained(model, folder)
    if before not in (None, _bytes(folder / WEIGHTS)):
        for name in (METRICS, "metrics.md", SAMPLES):  # of other weights: set aside, not thrown away
            if (folder / name).is_file():
                (folder / name).replace(folder / f"{name}.old")
    if photos:
        data = io.BytesIO()
        sample_grid(model, *photos).save(data, "JPEG", quality=90)
        write_atomic(folder / SAMPLES, data.getvalue())
    write_atomic(folder / TRAINING, (json.dumps(facts, indent=1) + "\n").encode())
    write_card(folder)


def sample_grid(model: Model, x_a: Tensor, x_b: Tensor) -> Image.Image:
    """A row a photo of each domain: x_a, x_ab, x_aba, x_b, x_ba, x_bab, and what they are above them.

    x_a, x_b: (N, C, H, W) in [-1, 1].
    """
    translator = Translator(model, next(model.parameters()).device)
    a, b = translator.domains
    labels = {a: _written("a", a), b: _written("b", b)}
    columns: list[tuple[str, Tensor]] = []
    for x, here, there in ((x_a, a, b), (x_b, b, a)):
        drawn = translator.translate_batch(x, here, there)
        back = translator.translate_batch(drawn, there, here)
        columns += [(labels[here], x), (f"translated to {labels[there]}", drawn), (f"and back to {labels[here]}", back)]

    side = max(CELL, *x_a.shape[-2:])
    grid = Image.new("RGB", (len(columns) * (side + 4) - 4, len(x_a) * (side + 4) + 20), "white")
    for i, (title, pictures) in enumerate(columns):
        label = Image.new("RGB", (side, 20), "white")
        ImageDraw.Draw(label).text((2, 2), title, "black", ImageFont.load_default(13))
        grid.paste(label, (i * (side + 4), 0))
        for row, picture in enumerate(pictures):
            cell = to_image(picture).convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
            grid.paste(cell, (i * (side + 4), 24 + row * (side + 4)))
    return grid


def _written(domain: Domain, name: str) -> str:
    """The domain's name, if Pillow's own font has its letters."""
    return name if name.encode("latin-1", "ignore").decode("latin-1") == name else domain


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


@command("export")
def main(
    run: Positional[Path],
    folder: Positional[Path],
    *,
    notes: Path | None = None,
    license: str | None = None,
    blend: str = "",
    share: float = 0.5,
    with_discriminators: bool = False,
    data: str | None = None,
) -> None:
    """From a run to what people load.

    Writes the averaged weights in fp16, `config.json`, a grid of held-out photos and a model card that tells how they
    came about. Exported again, a folder keeps its notes, its licence and, while the weights are the same, its measures.

    Args:
        run: Folder of the run.
        folder: Where the checkpoint goes, for example checkpoints/mine.
        notes: Markdown file to end the card with.
        license: Of the weights, as the Hub names it; unknown if nobody ever said.
        blend: Weights of another run, here or on the Hub, to be blended in.
        share: Of this run in the blend.
        with_discriminators: So that another run can go on with them (--init).
        data: Where testA and testB are, for the grid, if no longer where the run had them.
    """
    text = notes.read_text(encoding="utf-8") if notes else None
    print(f"wrote {export(run, folder, text, license, data, blend, share, with_discriminators)}")
