"""Training of the finder of heads that the app ships: python -m train finder OUT --heads FOLDER --empty FOLDER"""

import csv
import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm
from tyro.conf import Positional

from train.command import command
from train.data.source import list_photos
from train.features import frozen_lite
from unit.checkpoint import read_tensors
from unit.finder import STRIDE, UNIT_SIDE, Head, HeadFinder, answers, merge, overlap

CANVAS = 256  # pixels: the side of a scene
SMALLEST, LARGEST = 22.0, 230.0  # pixels: sides of the heads in it
NEAR, FAR = 0.16, 0.3  # of a head's side: cells this near to its middle must see it; from there to FAR they may


class Example(NamedTuple):
    """A photo in memory, and the square of the head in it: centre and side in pixels."""

    pixels: np.ndarray  # uint8 (H, W, 3)
    x: float
    y: float
    side: float
    whole: bool  # a whole photo, not a square that was cut out


def read_examples(heads: Path, squares: Path | None) -> list[Example]:
    """The marked photos, in the order of their list, then the squares."""
    found = []
    with (heads / "boxes.csv").open() as file:
        for name, _animal, x, y, side in list(csv.reader(file))[1:]:
            pixels = np.asarray(Image.open(heads / name).convert("RGB"))
            height, width = pixels.shape[:2]
            found.append(Example(pixels, float(x) * width, float(y) * height, float(side) * width, True))
    for folder in ("trainA", "trainB") if squares else ():
        for path in list_photos(squares / folder):  # type: ignore[operator]
            pixels = np.asarray(Image.open(path).convert("RGB"))
            side = pixels.shape[0]
            found.append(Example(pixels, side / 2, side / 2, side, False))
    return found


class Scenes(Dataset):
    """Item i is a scene (3, CANVAS, CANVAS) in [-1, 1] and its targets (5, h, w), a function of the seed and i."""

    def __init__(self, examples: list[Example], empty: list[Path], n: int, seed: int = 0):
        self.whole = [e for e in examples if e.whole]
        self.squares = [e for e in examples if not e.whole]
        self.empty, self.n, self.seed = empty, n, seed

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        draw = random.Random(f"{self.seed} {i}")
        scene, heads = self._background(draw), list[Head]()
        kind = draw.random()
        if kind < 0.55 or not self.squares:  # a whole photo, all over the scene
            scene, heads = paste(scene, draw.choice(self.whole), draw, heads)
        elif kind < 0.85:
            for _ in range(draw.choice((1, 1, 2, 3))):
                scene, heads = paste(scene, draw.choice(self.squares), draw, heads)
        if draw.random() < 0.5:
            scene, heads = scene[:, ::-1], [head._replace(centre_x=CANVAS - head.centre_x) for head in heads]
        x = relit(scene, draw)
        return torch.from_numpy(x).permute(2, 0, 1).contiguous(), targets(heads)

    def _background(self, draw: random.Random) -> np.ndarray:
        photo = np.asarray(Image.open(draw.choice(self.empty)).convert("RGB"))
        side = draw.randint(min(96, *photo.shape[:2]), min(photo.shape[:2]))
        top, left = draw.randint(0, photo.shape[0] - side), draw.randint(0, photo.shape[1] - side)
        return cv2.resize(photo[top : top + side, left : left + side], (CANVAS, CANVAS), interpolation=cv2.INTER_AREA)


def paste(scene: np.ndarray, example: Example, draw: random.Random, heads: list[Head]) -> tuple[np.ndarray, list[Head]]:
    """The example's photo turned and scaled into the scene, and the heads that are seen in it then."""
    small = SMALLEST if not example.whole else 40.0  # a whole photo is to fill most of the scene
    side = math.exp(draw.uniform(math.log(small), math.log(LARGEST)))
    angle = draw.uniform(-30, 30) if draw.random() < 0.6 else 0.0
    reach = max(0.0, CANVAS / 2 - 0.35 * side)  # some heads are cut by the border
    x, y = (CANVAS / 2 + draw.uniform(-reach, reach) for _ in "xy")
    matrix = cv2.getRotationMatrix2D((example.x, example.y), angle, side / example.side)
    matrix[:, 2] += np.array((x - example.x, y - example.y))
    height, width = example.pixels.shape[:2]
    shrink = example.side / side
    pixels = cv2.GaussianBlur(example.pixels, (0, 0), 0.4 * shrink) if shrink > 1.5 else example.pixels
    warped = cv2.warpAffine(pixels, matrix, (CANVAS, CANVAS), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    if example.whole:
        cover = np.ones((height, width), np.float32)
        soft = 0.0
    else:  # only what is around the head, fading out: a square's edge would give it away
        down, across = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        power = draw.choice((2, 4, 8))
        cover = ((np.abs(down) ** power + np.abs(across) ** power) < draw.uniform(0.8, 0.98)).astype(np.float32)
        soft = draw.uniform(0.5, 4)
    mask = cv2.warpAffine(cover, matrix, (CANVAS, CANVAS), flags=cv2.INTER_LINEAR)
    if soft:
        mask = cv2.GaussianBlur(mask, (0, 0), soft)
    scene = (scene + mask[..., None] * (warped.astype(np.float32) - scene)).astype(np.uint8)
    new = Head(x, y, side, 1.0)
    kept = [head for head in heads if mask[_place(head)] < 0.3 and overlap(head, new) < 0.2]
    return scene, [*kept, new]


def _place(head: Head) -> tuple[int, int]:
    return tuple(min(max(int(v), 0), CANVAS - 1) for v in (head.centre_y, head.centre_x))  # type: ignore[return-value]


def relit(scene: np.ndarray, draw: random.Random) -> np.ndarray:
    """uint8 -> float32 in [-1, 1], darker or brighter, of another colour, grey, blurred or noisy."""
    x: np.ndarray = scene.astype(np.float32) / 255
    x = x ** math.exp(draw.uniform(-0.6, 0.6)) * draw.uniform(0.6, 1.2)
    x = x * np.array([draw.uniform(0.85, 1.15) for _ in range(3)], np.float32)
    if draw.random() < 0.1:
        x = np.repeat(x.mean(2, keepdims=True), 3, 2)
    if draw.random() < 0.2:
        x = cv2.GaussianBlur(x, (0, 0), draw.uniform(0.4, 1.5))
    if draw.random() < 0.2:
        x = x + np.random.default_rng(draw.getrandbits(32)).normal(0, draw.uniform(0, 0.08), x.shape).astype(np.float32)
    return (2 * x - 1).clip(-1, 1).astype(np.float32)


def targets(heads: Sequence[Head]) -> Tensor:
    """(5, h, w): 1 near a middle, 0 elsewhere and -1 where either will do; then x, y and size as the network gives."""
    cells = CANVAS // STRIDE
    middle = (torch.arange(cells) + 0.5) * STRIDE
    found = torch.zeros(5, cells, cells)
    for head in heads:
        dx, dy = (head.centre_x - middle).expand(cells, cells), (head.centre_y - middle)[:, None].expand(cells, cells)
        distance = torch.maximum(dx.abs(), dy.abs())
        inside = distance <= max(NEAR * head.side, STRIDE / 2)
        around = (distance <= max(FAR * head.side, STRIDE)) & (found[0] == 0)
        found[0][around] = -1.0
        values = torch.stack([torch.ones_like(dx), dx / STRIDE, dy / STRIDE])
        found[:4, inside] = torch.cat([values, torch.full_like(dx, math.log(head.side / UNIT_SIDE))[None]])[:, inside]
    return found[:4]


def finder_loss(maps: Tensor, wanted: Tensor) -> Tensor:
    """Focal cross-entropy (Lin et al. 2017, arXiv:1708.02002) of the score; L1 of place and size where a head is."""
    score, seen = maps[:, 0].float(), wanted[:, 0]
    positive, counted = seen == 1, seen >= 0
    error = torch.where(positive, 1 - score.sigmoid(), score.sigmoid())
    entropy = F.binary_cross_entropy_with_logits(score, positive.float(), reduction="none")
    n = positive.sum().clamp(min=1)
    focal = (error.square() * entropy)[counted].sum() / n
    scale = (wanted[:, 3].exp() * UNIT_SIDE / STRIDE)[:, None]  # a place is as wrong as it is off in units of the side
    place = ((maps[:, 1:3].float() - wanted[:, 1:3]).abs() / scale).sum(1)
    size = (maps[:, 3].float() - wanted[:, 3]).abs()
    return focal + 4 * (place + size)[positive].sum() / n


def start_from_lite0(finder: HeadFinder) -> None:
    """Give the first layers the weights of EfficientNet-Lite0, layer by layer in their order."""
    net = frozen_lite(0)
    theirs = [m for part in (net._conv_stem, *net._blocks) for m in part.modules() if isinstance(m, nn.Conv2d)]
    ours = [
        m for part in (finder.stem, finder.eighth, finder.sixteenth) for m in part.modules() if isinstance(m, nn.Conv2d)
    ]
    with torch.no_grad():
        for one, other in zip(ours, theirs, strict=False):
            one.weight.copy_(other.weight)
            one.bias.copy_(other.bias)  # type: ignore[union-attr, arg-type]


@torch.inference_mode()
def found_share(finder: HeadFinder, examples: list[Example], least: float = 0.5) -> float:
    """The share of the marked heads that are found at one size, with an intersection over union of `least`."""
    hits = 0
    for example in examples:
        height, width = example.pixels.shape[:2]
        scale = 320 / max(height, width)
        w, h = round(width * scale), round(height * scale)
        x = torch.from_numpy(cv2.resize(example.pixels, (w, h), interpolation=cv2.INTER_AREA)).permute(2, 0, 1)[None]
        x = F.pad(x.float() / 127.5 - 1, (0, -w % 16, 0, -h % 16))
        truth = Head(example.x * scale, example.y * scale, example.side * scale, 1.0)
        hits += any(overlap(head, truth) >= least for head in merge(answers(finder(x)[0])))
    return hits / max(1, len(examples))


@command("finder")
def main(
    out: Positional[Path],
    *,
    heads: Path,
    squares: Path | None = None,
    empty: list[Path],
    steps: int = 1500,
    batch_size: int = 16,
    lr: float = 1e-3,
    workers: int = 1,
    init: Path | None = None,
) -> None:
    """Train the finder of heads that the app ships.

    Every scene is made anew: a photo or a pasted square turned, scaled, mirrored and relit, in one of the empty photos,
    so that heads come in all sizes, two at a time, and at the border. A tenth of the photos with boxes are kept apart;
    the last line printed, and the metadata of the weights, tell how many of their heads are found.

    Args:
        out: Where the weights go, for example unit/finder.safetensors.
        heads: Folder of whole photos and boxes.csv (file, animal, centre x, centre y and side of the square, as shares
            of the photo's width; centre y of its height), as in unit/finder.py.
        squares: Folder with trainA and trainB of squares cut like that, which are pasted into other photos.
        empty: Folders of photos without cats and dogs.
        steps: Optimiser steps.
        batch_size: Scenes a step.
        lr: Highest learning rate of the new layers; that of the old ones is 0.3 of it.
        workers: Processes that make scenes.
        init: Weights to go on from.
    """
    examples = read_examples(heads, squares)
    whole = [e for e in examples if e.whole]
    kept_apart = whole[::10]
    examples = [e for i, e in enumerate(examples) if i >= len(whole) or i % 10]
    background = [path for folder in empty for path in list_photos(folder)]
    torch.manual_seed(0)
    finder = HeadFinder()
    if init:
        finder.load_state_dict({name: w.float() for name, w in read_tensors(init).items()})
    else:
        start_from_lite0(finder)
        nn.init.constant_(finder.out[-1].bias[:1], -3.0)  # type: ignore[index, arg-type]
    finder.to(memory_format=torch.channels_last)
    new = [p for part in (finder.context, finder.detail, finder.out) for p in part.parameters()]
    # The edges and textures of the first four layers stay ImageNet's, which saves a third of the work.
    finder.stem.requires_grad_(False)
    finder.eighth[:3].requires_grad_(False)
    old = [p for part in (finder.eighth[3:], finder.sixteenth) for p in part.parameters()]
    groups: list[dict[str, Any]] = [{"params": new, "lr": lr}, {"params": old, "lr": 0.3 * lr}]
    optimizer = torch.optim.AdamW(groups, weight_decay=1e-4)
    rates = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [group["lr"] for group in groups], total_steps=steps, pct_start=0.1
    )
    scenes = Scenes(examples, background, steps * batch_size)
    bar = tqdm(DataLoader(scenes, batch_size, num_workers=workers), total=steps)
    smooth = None
    for step, (x, wanted) in enumerate(bar):
        loss = finder_loss(finder(x.contiguous(memory_format=torch.channels_last)), wanted)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(finder.parameters(), 5.0)
        optimizer.step()
        rates.step()
        smooth = float(loss) if smooth is None else 0.98 * smooth + 0.02 * float(loss)
        bar.set_postfix(loss=f"{smooth:.3f}")
        if step % 250 == 249 or step == steps - 1:
            share = found_share(finder.eval(), kept_apart)
            tqdm.write(f"step {step + 1}: loss {smooth:.3f}, {share:.3f} of {len(kept_apart)} heads kept apart found")
            facts = {"steps": step + 1, "kept_apart": len(kept_apart), "found": share}
            weights = {name: w.detach().half().contiguous() for name, w in finder.state_dict().items()}
            save_file(weights, out, metadata={"training": json.dumps(facts)})
