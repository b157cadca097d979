"""What tyro has against the words of a command line, as one sentence instead of its box. For all our command lines.

tyro calls its events private, so pyproject.toml allows only versions like the one that was tried. What is unknown here
keeps its box.
"""

from tyro import _errors as rejected


def sentence(event: rejected.ParseErrorEvent) -> str | None:
    """What is wrong, with the name of the option that it is about; None for what tyro says better itself."""
    match event:
        case rejected.MissingSubcommand():
            return f"a command is required: {', '.join(event.subcommand_spec.parser_from_name)}."
        case rejected.MissingArgs():
            names = ", ".join(missing.arg.display_name() for missing in event.missing_arguments)
            return f"the following arguments are required: {names}."
        case rejected.UnrecognizedArgs():
            return f"unrecognized arguments: {' '.join(event.tokens)}. --help lists those there are."
        case rejected.InvalidChoice():
            choices = ", ".join(event.choices)
            return f"{event.argument.display_name()}: invalid choice '{event.value}'; take one of {choices}."
        case rejected.BadValue():
            count = event.argument.lowered.nargs
            return f"{event.argument.display_name()}: {'a value' if count == 1 else f'{count} values'} expected."
        case rejected.InstantiationFailure(message=message, argument=argument):
            if argument is None:  # A dataclass has refused its values, in words of its own.
                return message
            return f"{argument.display_name()}: {message.splitlines()[0].rstrip('.')}."
    return None
