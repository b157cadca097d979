"""From the words of a command line to one of the commands: tyro reads the words and writes --help."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Union

import tyro
from tyro import _errors as rejected

from unit.cli.errors import UsageError

PROGRAM = "python -m unit"


def parse(commands: Sequence[type], description: str, words: Sequence[str]) -> Any:
    """Read one command.

    Args:
        commands: Dataclasses, each named for its command. The first line of a docstring is its line in the list of
            commands; the rest is shown by its own --help.
        description: What --help says above that list.
        words: The command line after the name of the program.

    Returns:
        One of `commands`, instantiated.

    Raises:
        UsageError: The words are no command; its message is a sentence that names the option.
        SystemExit: After --help.
    """
    names = [command.__name__.lower() for command in commands]
    if words and not words[0].startswith("-") and words[0] not in names:
        raise UsageError(f"invalid choice '{words[0]}': the commands are {', '.join(names)}.")
    choices = [
        Annotated[command, tyro.conf.subcommand(name, description=None if name in words[:1] else _first_line(command))]
        for name, command in zip(names, commands, strict=True)
    ]
    with rejected.on_parse_error(_refuse):
        return tyro.cli(
            Union[tuple(choices)],  # type: ignore[call-overload]  # noqa: UP007
            prog=program(),
            description=description.replace(PROGRAM, program()),
            args=words,
            config=(tyro.conf.FlagCreatePairsOff, tyro.conf.DisallowNone),
        )


def program() -> str:
    """What this was started as: the console script, or the module."""
    return "unit" if Path(sys.argv[0]).stem == "unit" else PROGRAM


def _first_line(command: type) -> str:
    return (command.__doc__ or "").partition("\n")[0]


def _refuse(event: rejected.ParseErrorEvent) -> None:
    """Raise UsageError with one sentence instead of the box of tyro, which events that are not known here keep."""
    if isinstance(event, rejected.MissingSubcommand):
        raise UsageError(f"a command is required: {', '.join(event.subcommand_spec.parser_from_name)}.")
    if isinstance(event, rejected.MissingArgs):
        names = ", ".join(missing.arg.display_name() for missing in event.missing_arguments)
        raise UsageError(f"the following arguments are required: {names}.")
    if isinstance(event, rejected.UnrecognizedArgs):
        raise UsageError(f"unrecognized arguments: {' '.join(event.tokens)}. --help lists those there are.")
    if isinstance(event, rejected.InvalidChoice):
        choices = ", ".join(event.choices)
        raise UsageError(f"{event.argument.display_name()}: invalid choice '{event.value}'; take one of {choices}.")
    if isinstance(event, rejected.BadValue):
        count = event.argument.lowered.nargs
        raise UsageError(f"{event.argument.display_name()}: {'a value' if count == 1 else f'{count} values'} expected.")
    if isinstance(event, rejected.InstantiationFailure) and event.argument:
        raise UsageError(f"{event.argument.display_name()}: {event.message}.")
