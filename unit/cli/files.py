"""Which pictures to translate, which files the results go to, and how they are written there."""

import contextlib
import itertools
import os
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from PIL import Image
from tqdm import tqdm  # type: ignore[import-untyped]

from unit.checkpoint import partial_name, write_atomic
from unit.cli.errors import UsageError, complain, one_line
from unit.formats import CHOICES, QUALITY, WRITABLE, check_size, encoded, suffix_like
from unit.images import SUFFIXES, is_photo_folder
from unit.system import short_name
from unit.tiling import TiledImage


def names_file(output: Path) -> bool:
    """Whether -o is the name of one picture, and not of a folder."""
    return output.suffix.lower() in SUFFIXES | WRITABLE.keys() and not output.is_dir()


def jobs(inputs: Sequence[Path], output: Path, kind: str | None = None) -> list[tuple[Path, Path]]:
    """Every picture and the file its drawing goes to. No two go to the same file."""
    one_file = names_file(output)
    if one_file and (len(inputs) > 1 or inputs[0].is_dir()):
        raise UsageError(f"-o {output} is one file, and there may be several pictures: name a folder.")
    if one_file:
        return [(inputs[0], output)]
    if output.exists() and not output.is_dir():
        raise UsageError(f"-o {output} is not a folder, nor a file of a kind that can be written.")
    if any(source.is_dir() and _same(source, output) for source in inputs):
        raise UsageError(f"-o {output} has photos to draw, and drawings would pass for photos: name a folder in it.")

    jobs: dict[Path, Path] = {}
    for source, relative in _pictures(inputs, output):
        suffix = CHOICES[kind] if kind else suffix_like(source)
        jobs[next(path for path in _targets(output / relative, suffix) if path not in jobs)] = source
    left_out = sum(_is_heic(path) for source in inputs if source.is_dir() for path in source.rglob("*"))
    advice = f"{left_out} HEIC pictures cannot be read and are left out: pip install pillow-heif" if left_out else ""
    if not jobs:
        raise ValueError(f"there are no pictures in {', '.join(map(str, inputs))}.{f' {advice}.' if advice else ''}")
    if advice:
        print(advice, file=sys.stderr)
    return [(source, target) for target, source in jobs.items()]


def in_styles(jobs: Sequence[tuple[Path, Path]], styles: int | None) -> list[tuple[Path, Path, int]]:
    """Every picture, a file, and the number of the style in it: one file of each, or one in each of so many styles."""
    if styles is None:
        return [(source, output, 0) for source, output in jobs]
    return [
        (source, output.with_name(short_name(output.stem, f"_style_{style + 1}{output.suffix}")), style)
        for source, output in jobs
        for style in range(styles)
    ]


def _pictures(inputs: Sequence[Path], output: Path) -> Iterator[tuple[Path, Path]]:
    """Files as they are, and all pictures below folders, each with the path it keeps in the output."""
    for source in inputs:
        if not source.is_dir():
            yield source, Path(source.name)
            continue
        for where, folders, files in os.walk(source):
            # What was drawn before is no input, should it lie in the same folder.
            folders[:] = sorted(f for f in folders if is_photo_folder(f) and not _same(Path(where, f), output))
            for name in sorted(files):
                if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                    yield Path(where, name), Path(where, name).relative_to(source)


def _targets(photo: Path, suffix: str) -> Iterator[Path]:
    """What the drawing of a photo can be called, the best first: of tree.jpg and tree.png, one is tree_png."""
    for tag in itertools.chain(("", f"_{photo.suffix[1:]}"), (f"_{number}" for number in itertools.count(2))):
        yield photo.with_name(short_name(photo.stem, f"{tag}{suffix}"))


def _is_heic(path: Path) -> bool:
    return path.suffix.lower() in (".heic", ".heif") and path.suffix.lower() not in SUFFIXES


def _same(one: Path, other: Path) -> bool:
    return identity(one) == identity(other)


def identity(path: Path) -> object:
    """Equal for two names of one file: by its number on the disk if it exists, which links and case cannot hide."""
    try:
        status = path.stat()
    except OSError:
        return path.resolve()
    return status.st_dev, status.st_ino


def sweep(outputs: Collection[Path]) -> None:
    """Remove what killed processes left half written of these files (see `write_atomic`)."""
    begun = {output.with_name(partial_name(output)) for output in outputs}
    for folder in {output.parent for output in outputs}:
        for partial in folder.glob(".*.tmp"):
            if folder / partial.name.rsplit(".", 2)[0] in begun:
                partial.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Make the folder that results go to. Raises UsageError, before any work is done, where none could be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"-o {folder} cannot be written to ({error.strerror}): choose another folder.") from None


def check_result(path: Path, inputs: Collection[object]) -> None:
    """Make the folder of a result. Raises ValueError and OSError, before it is drawn, where it could not be saved."""
    if identity(path) in inputs:
        raise ValueError(f"{path} is an input and would be overwritten: choose another -o.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        path.stat()  # which raises another OSError for a name that is too long for this disk


def save(image: Image.Image, path: Path, quality: int | None = None, mark: bytes = b"") -> None:
    """Write a result, whole or not at all."""
    write_atomic(path, encoded(image, path.suffix, quality or QUALITY, mark))


def draw_all(
    drawings: Iterable[TiledImage], paths: Sequence[Path], quality: int | None, inputs: Collection[object] = ()
) -> int:
    """Draw pictures of one size and save each before the next is begun. Returns the exit status."""
    for path in paths:
        check_result(path, inputs)
    saved = 0
    try:
        for path, drawing in zip(paths, tqdm(drawings, total=len(paths), unit="picture", disable=None), strict=True):
            check_size(drawing.size, path.suffix)
            save(finished(drawing), path, quality)
            saved += 1
    except OSError as error:
        return complain(f"{one_line(error)} {saved} of {len(paths)} pictures are saved.", 1)
    return 0


def finished(drawing: TiledImage, *, quiet: bool = False) -> Image.Image:
    """The drawing, once it is done; until then, a bar of its tiles for whoever watches."""
    for _ in tqdm(drawing, unit="tile", leave=False, disable=quiet or len(drawing) == 1 or None):
        pass
    return drawing.image
