"""Train a preset, or look after what came of it.

    python -m train compact --data FOLDER [--run-dir runs/mine] [--model.domain-a summer ...]    train; --help lists all
    python -m train plan PRESET [...]         parameters, FLOPs, memory and speed to expect of a run
    python -m train report RUN                one HTML page of a run: curves, and grids over time
    python -m train export RUN FOLDER         the averaged weights and a model card, as the app loads them
    python -m train evaluate FOLDER           measure an exported model on held-out photos
    python -m train push FOLDER owner/name    put an exported model on the Hugging Face Hub
    python -m train stability --data FOLDER   whether the presets hold, from several seeds on a small budget
    python -m train benchmark                 how much quicker a step is than its plain form
    python -m train squares FOLDER TARGET     cut squares without black corners out of aligned photos
    python -m train adapt mnist2usps          the paper's domain adaptation on digits: a table of accuracies
    python -m train ablate --data FOLDER      what sharing, cycles and depth contribute, on pairs such as maps

Every command has --help.
"""

import importlib
import sys
from collections.abc import Sequence

from unit.system import print_anything

COMMANDS = {  # command -> the module whose main it is
    "plan": "train.tools.plan",
    "report": "train.tools.report",
    "export": "train.publish.export",
    "evaluate": "train.eval.evaluate",
    "push": "train.publish.push",
    "stability": "train.tools.stability",
    "benchmark": "train.tools.benchmark",
    "squares": "train.tools.crop_squares",
    "finder": "train.tools.finder",
    "adapt": "train.adapt",
    "ablate": "train.ablate",
}

RENAMED = {"--model.whole": "--model.aligned", "--model.no-whole": "--model.no-aligned"}  # old commands go on working


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = [RENAMED.get(word, word) for word in (sys.argv[1:] if arguments is None else arguments)]
    print_anything()
    if arguments and arguments[0] in COMMANDS:
        return importlib.import_module(COMMANDS[arguments[0]]).main(arguments[1:])
    return train_command(arguments)


def train_command(arguments: Sequence[str]) -> int:
    import torch
    import tyro
    from safetensors import SafetensorError

    from train.config import presets
    from train.loop import train

    config = tyro.extras.overridable_config_cli(
        presets(tyro.MISSING), prog="python -m train", description=__doc__, args=arguments
    )
    try:
        train(config)
    except KeyboardInterrupt:
        print(f"stopped; the same command goes on from the last checkpoint in {config.run_dir}", file=sys.stderr)
        return 130
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    except (MemoryError, RuntimeError) as error:
        what = str(error).partition("\n")[0] or "There is not enough memory."
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in what:
            advice = (
                "Go on with --checkpointing, a larger --accumulate, or a smaller --batch-size or --model.image-size."
            )
        elif "DataLoader worker" in what:
            advice = (
                "A process that reads photos has ended, perhaps for want of memory. The same command goes on from the "
                "last checkpoint; with --workers 0 there are no such processes."
            )
        else:
            raise
        print(f"{what} {advice}", file=sys.stderr)
        return 1
    except (OSError, SafetensorError) as error:  # a full disk, a folder that may not be written
        print(f"{error}. The checkpoints before it are whole: the same command goes on from them.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
