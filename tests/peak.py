"""Run by test_pipeline in a process of its own: how many bytes more it ever had than before it saw the photo.

python -m tests.peak CHECKPOINT PHOTO DOMAIN TEMPERATURE
"""

import sys
import time
from pathlib import Path

import torch

from unit import Sampling, Translator


def status(field: str) -> int:
    """Bytes. VmHWM starts anew with each program, unlike what getrusage tells, which a child has from its parent."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def main(checkpoint: str, photo: str, domain: str, temperature: float) -> None:
    translator = Translator.from_pretrained(checkpoint, device="cpu", dtype=torch.float32)
    before, start = status("VmRSS"), time.monotonic()
    drawing = translator.draw(photo, domain, Sampling(temperature, seed=0))
    image = drawing.finish()
    print(
        f"{image.width} x {image.height}, {len(drawing)} tiles, {time.monotonic() - start:.0f} seconds", file=sys.stderr
    )
    print(status("VmHWM") - before)


if __name__ == "__main__":
    main(*sys.argv[1:4], float(sys.argv[4]))
