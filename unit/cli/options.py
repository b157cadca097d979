"""Options that several commands have, the model they name, and how their values are read."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from tyro.constructors import PrimitiveConstructorSpec

from unit.cli.errors import UsageError
from unit.formats import CHOICES, QUALITY, WRITABLE, has_quality
from unit.hub import load_pretrained
from unit.models.munit import MUNIT
from unit.models.unit import UNIT
from unit.pipeline import Translator

CHECKPOINTS = Path("checkpoints")  # of the working folder, which is the checkout for most


def words(
    read: Callable[[str], Any], shown: str, count: Any = 1, choices: Iterable[str] | None = None
) -> PrimitiveConstructorSpec:
    """How tyro reads an option that may be left out.

    tyro can read `int | None` by itself, but what it says of a wrong value is a list of types, and no sentence.

    Args:
        read: Makes a value of one word. Raises ValueError with what the word must be.
        shown: What --help calls the value.
        count: Number of words; "*": any. The value is a tuple unless it is 1.
        choices: The only words that are taken.
    """

    def value(given: list[str]) -> Any:
        return read(given[0]) if count == 1 else tuple(map(read, given))

    return PrimitiveConstructorSpec(
        nargs=count,
        metavar=shown,
        instance_from_str=value,
        is_instance=lambda _: True,
        str_from_instance=lambda default: [f"{default:g}" if isinstance(default, float) else str(default)],
        choices=tuple(choices) if choices else None,
    )


def help_of(text: str | None = None, default: str = "") -> Any:
    """The help of an option: `text`, or else the docstring below it, and in words what happens without the option."""
    return tyro.conf.arg(help=text, help_behavior_hint=f"(default: {default})" if default else "")


def whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"'{text}' is not a whole number") from None


def count(text: str) -> int:
    if (number := whole(text)) < 1:
        raise ValueError("must be 1 or more")
    return number


def percent(text: str) -> int:
    if (number := count(text)) > 100:
        raise ValueError("must be 100 or less")
    return number


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"'{text}' is not a number") from None


def width_x_height(text: str) -> tuple[int, int]:
    if not re.fullmatch(r"\d+x\d+", text):
        raise ValueError(f"'{text}' is not a size: write it as 640x480")
    width, _, height = text.partition("x")
    return count(width), count(height)


Flag = Annotated[bool, help_of()]
Count = Annotated[int, words(count, "INT")]
Number = Annotated[float, words(number, "NUMBER")]
Model = Annotated[
    str | None,
    words(str, "MODEL"),
    help_of("Folder or Hub repository owner/name.", "the one in checkpoints/ that can"),
]
Revision = Annotated[str | None, words(str, "REVISION"), help_of("Branch, tag or commit of the Hub repository.")]
Target = Annotated[str, tyro.conf.arg(metavar="DOMAIN", help="The domain to translate to, for example winter.")]
Seed = Annotated[int | None, words(whole, "INT"), help_of("Of the noise.", "a new one each time")]
Size = Annotated[tuple[int, int] | None, words(count, "W H", 2), help_of("Pixels.", "the training crops'")]
Format = Annotated[
    str | None,
    words(str, f"{{{','.join(CHOICES)}}}", choices=CHOICES),
    help_of("Of the results.", "like the photo; png without one"),
]
Quality = Annotated[int | None, words(percent, "1..100"), help_of("Of JPEG and WebP: less is smaller.", str(QUALITY))]
Output = Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="OUTPUT")]


def check_format(output: Path, kind: str | None, quality: int | None, suffix: str) -> None:
    """Raise UsageError for what contradicts itself.

    Args:
        output: -o, as it was given.
        kind: --format.
        quality: --quality.
        suffix: The ending of the results; empty if each may have another.
    """
    asked = CHOICES[kind] if kind else ""
    if suffix and suffix.lower() not in WRITABLE:
        raise UsageError(f"-o {output}: no drawing can be written as {suffix}; take {', '.join(WRITABLE)}.")
    if suffix and asked and WRITABLE[suffix.lower()] != WRITABLE[asked]:
        raise UsageError(f"-o {output} and --format {kind} contradict each other: leave out one.")
    if quality and (ending := suffix or asked) and not has_quality(ending):
        raise UsageError(
            f"--quality is for jpg and webp, and this would be {ending[1:]}: leave it out, or name another."
        )


def load_translator(
    model: str | None, revision: str | None, target: str | None = None, device: torch.device | None = None
) -> Translator:
    """The model that was asked for, ready to translate. Raises UsageError where it does not know `target`."""
    translator = Translator.from_pretrained(model or default_model(target), revision=revision, device=device)
    if target is not None and target not in translator.domains:
        raise UsageError(f"--to {target}: this model draws {' and '.join(translator.domains)}.")
    return translator


def load_ours(source: str | Path, revision: str | None) -> UNIT | MUNIT:
    """A model whose networks this program can take apart."""
    if not isinstance(model := load_pretrained(source, revision=revision), UNIT | MUNIT):
        raise UsageError(f"{source} is no UNIT and no MUNIT, and this command knows no other model.")
    return model


def default_model(target: str | None = None) -> Path:
    """The only model there is, or the only one that draws `target`."""
    found = sorted(p for p in CHECKPOINTS.glob("*") if p.is_dir())
    able = [p for p in found if target in load_pretrained(p).config.domains] if target and len(found) > 1 else found
    if len(able) != 1:
        names = ", ".join(p.name for p in found) or "none"
        raise UsageError(f"say which model to use with --model (in checkpoints: {names}).")
    return able[0]
