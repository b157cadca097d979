"""Where photos come from: a folder here, or a data set of the Hugging Face Hub, which becomes a folder here."""

import functools
import itertools
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from train.data.store import cache_home, locked, need_room
from unit.hub import why_not_had
from unit.images import SUFFIXES, is_photo_folder

FOLDERS = ("trainA", "trainB", "testA", "testB")


class DataError(ValueError):
    """The training data cannot be used; the message says why and what to do."""


def list_photos(folder: Path) -> list[Path]:
    """Photos under `folder`, at any depth, in an order that does not depend on the file system.

    What is hidden is left out, and folders of thumbnails that systems make, and links to folders, which may lead round
    in a circle.
    """
    photos = []
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if is_photo_folder(name)]
        names = [name for name in files if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES]
        photos += [Path(where, name) for name in names]
    return sorted(photos)


@functools.cache  # asked once a run, so that the Hub's data set cannot change under it
def find_data(data: str) -> Path:
    """`data` of TrainConfig -> the folder that holds trainA, trainB and perhaps testA, testB.

    "hf:owner/name" or "hf:owner/name@revision" is downloaded first. It may hold those folders, or Parquet files with a
    column of images and either splits of those names or a label of two classes, or with two columns of images. Files
    are only read, no code of the data set is run. Raises DataError.
    """
    if not data.startswith("hf:"):
        if not Path(data).is_dir():
            raise DataError(
                f"{data} is not a folder. --data needs a folder that holds trainA and trainB, or hf:owner/dataset."
            )
        return Path(data)
    name, _, revision = data.removeprefix("hf:").partition("@")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise DataError(
            f"{data} names no data set of the Hugging Face Hub: write hf:owner/name or hf:owner/name@revision."
        )
    snapshot = _download(name, revision or None)
    if list_photos(snapshot / "trainA"):
        return snapshot
    if not any(snapshot.rglob("*.parquet")):
        raise DataError(f"{data} holds neither folders trainA and trainB of photos nor Parquet files.")
    return _unpack(snapshot, name)


def _download(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download  # reads its environment when imported
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    wanted = [*(f"{folder}/*" for folder in FOLDERS), "*.parquet", "README.md"]
    try:
        return Path(snapshot_download(name, repo_type="dataset", revision=revision, allow_patterns=wanted))
    except Exception as error:  # as in unit/hub.py
        if isinstance(error, RepositoryNotFoundError) and not isinstance(error, GatedRepoError):
            raise DataError(
                f"There is no data set {name} on the Hugging Face Hub "
                "(if it is private, set HF_TOKEN to a token that may read it)."
            ) from error
        raise DataError(why_not_had(error, name, revision)) from error


def _unpack(snapshot: Path, name: str) -> Path:
    """Write the images in Parquet files to a folder in the user's cache, once, byte for byte as they are in there."""
    target = cache_home() / "hub" / name.replace("/", "--") / snapshot.name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.with_suffix(".lock")):
            if not target.is_dir():
                need_room(target.parent, sum(path.stat().st_size for path in snapshot.rglob("*.parquet")))
                partial = target.with_suffix(".partial")
                shutil.rmtree(partial, ignore_errors=True)
                for folder in FOLDERS:
                    (partial / folder).mkdir(parents=True)
                for i, (folder, path, content) in enumerate(_images(snapshot, name)):
                    suffix = Path(path or "").suffix.lower()
                    file = partial / folder / f"{i:07}{suffix if suffix in SUFFIXES else '.png'}"
                    file.write_bytes(content)
                partial.rename(target)
    except OSError as error:
        raise DataError(f"The photos of {name} cannot be unpacked to {target}: {error.strerror or error}.") from error
    return target


def _images(snapshot: Path, name: str) -> Iterator[tuple[str, str | None, bytes]]:
    """(folder it belongs to, its path where the data set was made, content) of each image in Parquet files."""
    try:
        import datasets
    except ImportError:
        raise DataError(
            f"{name} is stored as Parquet, and reading that takes one package more: pip install datasets"
        ) from None
    try:
        splits = _splits(snapshot)
        columns, label = _columns(next(iter(splits.values())).features, splits, name)
        sorted_already = not label and len(columns) == 1
        for split in [split for split in splits if split in (FOLDERS if sorted_already else ("train", "test"))]:
            rows = splits[split].select_columns([*columns, *([label] if label else [])])
            for column in columns:
                rows = rows.cast_column(column, datasets.Image(decode=False))
            for row in tqdm(rows, desc=f"unpacking {split}", leave=False):
                for column, its_domain in columns.items():
                    domain = {0: "A", 1: "B"}.get(row[label]) if label else its_domain
                    if domain is not None and row[column] and row[column]["bytes"]:
                        yield split + domain, row[column]["path"], row[column]["bytes"]
    except DataError:
        raise
    except Exception as error:  # its own, those of Arrow, whatever a strange file provokes
        raise DataError(f"The Parquet files of {name} cannot be read: {str(error).splitlines()[0]}") from error


def _columns(features: Mapping[str, Any], splits: Iterable[str], name: str) -> tuple[dict[str, str], str | None]:
    """The columns of images, each with its domain ("" where the split or the label tells it), and that label if any."""
    images = [column for column, feature in features.items() if _holds_images(feature)]
    label = next((column for column, feature in features.items() if getattr(feature, "num_classes", 0) == 2), None)
    if not images:
        raise DataError(f"{name} has no column of images.")
    if {"trainA", "trainB"} <= set(splits):
        return {images[0]: ""}, None
    if "train" in splits and label:
        tqdm.write("{}: {} {} is domain a, {} is domain b".format(name, label, *features[label].names))
        return {images[0]: ""}, label
    if "train" in splits and len(images) == 2:
        tqdm.write("{}: {} is domain a, {} is domain b".format(name, *images))
        return dict(zip(images, "AB", strict=True)), None
    raise DataError(
        f"{name} has the splits {', '.join(splits)}, with images in {', '.join(images)}. It needs trainA and trainB, "
        "or a split train with two columns of images or a label of two classes."
    )


def _holds_images(feature: Any) -> bool:
    """Whether a column is of images, declared as such or not: stored they are a file's content and name either way."""
    import datasets

    return isinstance(feature, datasets.Image) or (isinstance(feature, dict) and feature.keys() == {"bytes", "path"})


def _splits(snapshot: Path) -> dict[str, Any]:
    """Splits by name; configurations that are called like our folders count as such."""
    from datasets import get_dataset_config_names, load_dataset_builder

    def splits(config: str | None) -> dict[str, Any]:
        builder = load_dataset_builder(str(snapshot), config)
        for path in itertools.chain(*builder.config.data_files.values()):  # which its README may have chosen
            if not Path(os.path.normpath(path)).is_relative_to(snapshot):
                raise DataError(f"The README of this data set asks for files outside of it ({path}): it is not used.")
        return dict(builder.as_streaming_dataset())

    configs = get_dataset_config_names(str(snapshot))
    named = [config for config in configs if config in FOLDERS]
    return {name: next(iter(splits(name).values())) for name in named} or splits(None)


def redact_path(source: str) -> str:
    """Of a folder only its name, for nobody needs to know where it lies; a repository of the Hub as it is.

    What looks like owner/name and is no folder here is taken for one of the Hub.
    """
    path = Path(source)
    on_the_hub = source.startswith("hf:") or (len(path.parts) == 2 and not path.is_absolute() and not path.is_dir())
    return source if on_the_hub or not source else path.resolve().name
