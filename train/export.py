"""From a run to what people load: python -m train.export RUN checkpoints/NAME

Writes the averaged weights in fp16, `config.json` and a model card that tells how they came about.
"""

import argparse
import json
import sys
from pathlib import Path

from train.state import read_newest
from unit.hub import save_pretrained
from unit.unit import UNIT, UNITConfig

CARD = """---
license: {license}
library_name: pytorch
pipeline_tag: image-to-image
tags: [unit, image-to-image, unpaired, pytorch]
training:
  data: {data}
  steps: {step}
  photos_seen: {images}
  hours: {hours:.2f}
---

# UNIT: {domain_a} and {domain_b}

Draws photos of *{domain_a}* as *{domain_b}* and back, with one latent space for both
([arXiv:1703.00848](https://arxiv.org/abs/1703.00848), layout `{layout}`, {parameters:.1f} M parameters, fp16).

| training | |
|---|---|
| data | `{data}`, unpaired |
| steps | {step:,} of {batch_size} photos of each domain: {images:,} photos seen |
| time | {hours:.2f} h on {device} |
| crops | {image_size} px, from {min_crop:.0%} to 100 % of the photo's area |
| discriminators | {discriminator}, {gan_loss} loss |
| loss weights | {weights} |
| shipped weights | exponential average, decay {ema} |

```python
from unit import Translator

translator = Translator.from_pretrained("checkpoints/{name}")
translator.translate("photo.jpg", "{domain_b}").save("{domain_b}.png")
```

All options of the run:

```json
{config}
```
"""


def export(run: Path, folder: Path, notes: str = "", license: str = "mit") -> Path:
    """Write the newest checkpoint's averaged generator into `folder`. Returns the folder.

    `notes` is Markdown that ends the card: limits, results, thanks. `license` is the Hub's name for that of the
    weights, which may depend on the photos. Raises ValueError if `run` has no checkpoint.
    """
    if (newest := read_newest(run)) is None:
        raise ValueError(f"{run} holds no checkpoint yet; they are written every --save-every steps.")
    _, tensors, metadata = newest
    config = json.loads(metadata["config"])
    model = UNIT(UNITConfig(**config["model"]))
    model.load_state_dict({k.removeprefix("ema."): tensor for k, tensor in tensors.items() if k.startswith("ema.")})

    config["data"], config["run"] = Path(config["data"]).name, Path(config["run"]).name  # no folders of one machine
    step = int(metadata["step"])
    facts = config | config["model"] | {"name": folder.name, "step": step, "license": license}
    facts |= {
        "device": metadata.get("device", "CPU"),
        "images": 2 * step * config["batch_size"],
        "hours": float(metadata["seconds"]) / 3600,
        "parameters": sum(p.numel() for p in model.parameters()) / 1e6,
        "weights": ", ".join(f"{name} {value:g}" for name, value in config["weights"].items()),
        "config": json.dumps(config, indent=1),
    }
    save_pretrained(model, folder, card=CARD.format(**facts) + notes)
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("folder", type=Path, help="where the checkpoint goes, for example checkpoints/mine")
    parser.add_argument("--notes", type=Path, help="Markdown file to end the card with")
    parser.add_argument("--license", default="mit", help="of the weights, as the Hub names it (default: mit)")
    args = parser.parse_args()
    try:
        folder = export(args.run, args.folder, args.notes.read_text() if args.notes else "", args.license)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"wrote {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
