"""python -m train compact --data FOLDER [--run runs/mine] [--model.domain-a summer ...]"""

import sys

import tyro
from safetensors import SafetensorError

from train.config import presets
from train.loop import train


def main() -> int:
    config = tyro.extras.overridable_config_cli(presets(tyro.MISSING), description=__doc__)
    try:
        train(config)
    except KeyboardInterrupt:
        print(f"stopped; the same command goes on from the last checkpoint in {config.run}", file=sys.stderr)
        return 130
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    except (OSError, SafetensorError) as error:  # a full disk, a folder that may not be written
        print(f"{error}. The checkpoints before it are whole: the same command goes on from them.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
