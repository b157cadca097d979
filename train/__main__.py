"""Train a preset, or look after what came of it."""

import importlib
import sys
from collections.abc import Sequence

from train.command import Arguments, one_sentence, refusals
from unit.system import print_anything

COMMANDS = {  # command -> the module whose main it is, imported when it is asked for; and its line of the help
    "plan": ("train.tools.plan", "parameters, FLOPs, memory and speed to expect of a run"),
    "report": ("train.tools.report", "one HTML page of a run: curves, and grids over time"),
    "export": ("train.publish.export", "the averaged weights and a model card, as the app loads them"),
    "evaluate": ("train.eval.evaluate", "measure an exported model on held-out photos"),
    "roles": ("train.eval.roles", "the five models that are in a UNIT, measured and shown"),
    "push": ("train.publish.push", "put an exported model on the Hugging Face Hub"),
    "stability": ("train.tools.stability", "whether the presets hold, from several seeds on a small budget"),
    "benchmark": ("train.tools.benchmark", "how much quicker a step is than its plain form"),
    "squares": ("train.tools.crop_squares", "cut squares without black corners out of aligned photos"),
    "adapt": ("train.adapt", "the paper's domain adaptation on digits: a table of accuracies"),
    "ablate": ("train.ablate", "what sharing, cycles and depth contribute, on pairs such as maps"),
    "familiar": ("train.tools.familiar", "which kinds of photos a model knows, for the page to say where one is not"),
    "finder": ("train.tools.finder", "train the network that finds heads of cats and dogs"),
}

RENAMED = {"--model.whole": "--model.aligned", "--model.no-whole": "--model.no-aligned"}  # old commands go on working


def main(arguments: Sequence[str] | None = None) -> int:
    arguments = [RENAMED.get(word, word) for word in (sys.argv[1:] if arguments is None else arguments)]
    print_anything()
    if arguments and arguments[0] in COMMANDS:
        module, _ = COMMANDS[arguments[0]]
        return importlib.import_module(module).main(arguments[1:])
    return train_command(arguments)


@one_sentence
def train_command(arguments: Arguments) -> int:
    import tyro

    from train.config import presets

    choices = presets(tyro.MISSING)
    if not arguments or (not arguments[0].startswith("-") and arguments[0] not in choices):
        given = f"{arguments[0]} is neither" if arguments else "name one of them"
        print(f"the presets are {', '.join(choices)}, the commands {', '.join(COMMANDS)}: {given}.", file=sys.stderr)
        return 2
    with refusals():
        config = tyro.extras.overridable_config_cli(
            choices, prog="python -m train", description=description(), args=arguments
        )

    from safetensors import SafetensorError

    from train.loop import train

    try:
        train(config)
    except KeyboardInterrupt:
        print(f"stopped; the same command goes on from the last checkpoint in {config.run_dir}", file=sys.stderr)
        return 130
    except (MemoryError, RuntimeError) as error:
        if (advice := advice_on(error)) is None:
            raise
        print(advice, file=sys.stderr)
        return 1
    except (OSError, SafetensorError) as error:  # a full disk, a folder that may not be written
        print(f"{error}. The checkpoints before it are whole: the same command goes on from them.", file=sys.stderr)
        return 1
    return 0


def description() -> str:
    """The beginning of the help: how to train, and what else there is."""
    others = "\n".join(f"    {name:<10} {line}" for name, (_, line) in COMMANDS.items())
    return (
        f"{__doc__}\n\n"
        "    python -m train compact --data FOLDER --run-dir runs/mine --model.domain-a summer ...\n\n"
        "trains the preset compact, whose options --help lists: python -m train compact --help. "
        f"The other commands, each with its own --help:\n\n{others}"
    )


def advice_on(error: MemoryError | RuntimeError) -> str | None:
    """What to tell a person about an error that more or other memory would mend; None for any other error."""
    import torch

    what = str(error).partition("\n")[0] or "There is not enough memory."
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in what:
        return (
            f"{what} Go on with --checkpointing, a larger --accumulate, or a smaller --batch-size or "
            "--model.image-size."
        )
    if "DataLoader worker" in what:
        return (
            f"{what} A process that reads photos has ended, perhaps for want of memory. The same command goes on from "
            "the last checkpoint; with --workers 0 there are no such processes."
        )
    return None


if __name__ == "__main__":
    sys.exit(main())
