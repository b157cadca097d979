"""python -m unit translate"""

import contextlib
import errno
import hashlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from PIL import Image
from tqdm import tqdm  # type: ignore[import-untyped]
from tyro.conf import Positional

from unit.checkpoint import CONFIG, WEIGHTS
from unit.cli.errors import FAILURES, UsageError, one_line
from unit.cli.files import check_result, check_writable, finished, identity, in_styles, jobs, names_file, save, sweep
from unit.cli.options import (
    Count,
    Flag,
    Format,
    Model,
    Number,
    Output,
    Quality,
    Revision,
    Seed,
    Target,
    check_format,
    count,
    default_model,
    help_of,
    load_translator,
    words,
)
from unit.cli.processes import gpu, process, told_to_stop
from unit.faces import Box, centred, crop_box, find_faces, paste
from unit.formats import QUALITY, check_size, has_quality, is_marked
from unit.hub import find_checkpoint
from unit.images import load_image
from unit.pipeline import Sampling, Translator

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Translate:
    """Translate photos, or all photos of folders, to the other domain.

    formats:
      A result is a JPEG if the photo is one, or is a HEIC or AVIF; a WebP if the photo is one; and else a PNG. --format
      makes all of them the same; a name after -o says it by its ending. A photo may have 100 million pixels, a JPEG
      65,500 and a WebP 16,383 a side.

    results that are there already:
      In a folder, a result made from the same photo (its bytes count, not its date) with the same model and options is
      left alone, so a run that was stopped goes on when it is started again. Any other file of that name is drawn anew;
      --again draws all of them. To tell, a result ends with a checksum of what it was made from; it holds nothing else
      of the photo but its pixels. A result that -o names itself (-o garden.png) is always made.

    styles:
      Some models have many translations for a photo, one for each style. Without --style and --styles they take the
      mean style. --style follows an example, and an album comes out alike. --styles 8 makes cat_style_1.jpg to
      cat_style_8.jpg of cat.jpg, in the same eight styles for every photo; --seed names the first, 0 if it is left out.

    many processes:
      Started by torchrun, accelerate launch or srun, or with RANK and WORLD_SIZE set by hand, each process draws its
      share of the photos, on the GPU that LOCAL_RANK says. A seed means the same results however many processes there
      are. SIGTERM ends a process after the photo it is at.

    exit status:
      0 if all is drawn, and on SIGTERM; 1 if a photo could not be drawn, while the others are. One of many processes
      says what failed and ends with 0, as launchers would stop the others: for the status, run it again in one process.
    """

    input: Annotated[Positional[tuple[Path, ...]], words(Path, "FILE ...", "*"), help_of()]
    """Pictures or folders."""
    to: Target
    output: Output
    """A folder; or a file, for one picture."""
    temperature: Number = 0.0
    """Strength of the noise, 1 as in training."""
    grain: Count = 1
    """Size of the noise in latent pixels."""
    seed: Seed = None
    style: Annotated[Path | None, words(Path, "FILE"), help_of(default="the mean style")] = None
    """A picture of the target domain, whose style all photos get; for models that have styles."""
    styles: Annotated[int | None, words(count, "INT"), help_of(default="one result of each photo")] = None
    """Number of random styles of each photo, one file each; for models that have styles."""
    face: Flag = False
    """Translate only the face of a cat or dog, in its place; the middle, where none is found. Without --face and
    --no-face, a face is looked for if the model is of faces, and the whole photo is translated where none is found."""
    no_face: Flag = False
    """Never look for a face."""
    again: Flag = False
    """Draw what is there already anew."""
    format: Format = None
    quality: Quality = None
    model: Model = None
    revision: Revision = None

    def run(self) -> int:
        self._check_words()
        rank, world, local = process()
        all_jobs = in_styles(jobs(self.input, self.output, self.format), self.styles)
        inputs = {identity(source) for source, *_ in all_jobs}  # of all processes, none of which may overwrite them
        inputs |= {identity(self.style)} if self.style else set()
        share = all_jobs[rank::world]
        named = all_jobs[0][1] == self.output
        drawn, failed, full = 0, 0, False
        with told_to_stop() as told:
            translator = load_translator(self.model, self.revision, self.to, gpu(local))
            check_writable(self.output.parent if named else self.output)
            if self.face and not translator.config.aligned:
                raise UsageError("this model translates whole photos, not faces: leave out --face.")
            if (self.style or self.styles) and not translator.has_styles:
                raise UsageError(f"this model has no styles: leave out --style{'' if self.style else 's'}.")
            of_faces = translator.config.aligned and not self.no_face
            samplings = self._samplings(translator, of_faces)
            settings = self._settings(of_faces)
            sweep({output for _, output, _ in share})
            todo = [
                (source, output, style)
                for source, output, style in share
                if named or self.again or not self._is_drawn(source, output, settings[style])
            ]
            no_bar = rank > 0 or None  # None: no bar if nobody watches
            for source, output, style in tqdm(todo, unit="photo", disable=no_bar):
                if told:
                    break
                try:
                    check_result(output, inputs)
                    picture = self._translation(
                        translator, source, output.suffix, samplings[style], of_faces, quiet=rank > 0
                    )
                    save(picture, output, self.quality, b"" if named else self._mark(source, output, settings[style]))
                    drawn += 1
                except FAILURES as error:
                    failed += 1
                    tqdm.write(f"{source}: {one_line(error)}", file=sys.stderr)
                    if full := isinstance(error, OSError) and error.errno in NO_ROOM:
                        break
        if not named:
            facts = [
                f"{drawn} of {len(share)} drawn",
                f"{len(share) - len(todo)} were there already (--again draws them anew)" if todo != share else "",
                f"{failed} failed" if failed else "",
                "stopped by SIGTERM: the same command goes on" if told else "",
                "stopped as there is no room: make some, and the same command goes on" if full else "",
            ]
            print(f"process {rank + 1} of {world}: " if world > 1 else "", ", ".join(filter(None, facts)), sep="")
        return 1 if failed and world == 1 and not told else 0

    def _translation(
        self, translator: Translator, source: Path, suffix: str, sampling: Sampling, of_faces: bool, quiet: bool
    ) -> Image.Image:
        """A photo's translation; of_faces: that of the face in it, put back into the photo.

        Raises what reading and translating raise, and ValueError if the picture is too large for files of `suffix`.
        """
        photo = load_image(source) if of_faces else None
        box = self._face(photo, source) if photo else None
        tiled = translator.draw(crop_box(photo, box) if photo and box else source, self.to, sampling)
        check_size(photo.size if photo else tiled.size, suffix)
        picture = finished(tiled, quiet=quiet)
        return paste(photo, picture, box) if photo and box else picture

    def _check_words(self) -> None:
        if not self.input:
            raise UsageError("the following arguments are required: the pictures or folders to translate.")
        if self.face and self.no_face:
            raise UsageError("--face and --no-face contradict each other: leave out one.")
        if self.style and self.styles:
            raise UsageError("--style and --styles contradict each other: leave out one.")
        if self.styles and names_file(self.output):
            raise UsageError(f"-o {self.output} is one file, and --styles makes several: name a folder.")
        check_format(self.output, self.format, self.quality, self.output.suffix if names_file(self.output) else "")

    def _face(self, photo: Image.Image, source: Path) -> Box | None:
        """The face to translate; None, and a word about it, where none is found and the whole photo is to be taken."""
        if found := find_faces(photo):
            return found[0]
        part = "the middle" if self.face else "all"
        tqdm.write(f"{source}: no face was found, so {part} of it is taken", file=sys.stderr)
        return centred(photo.size) if self.face else None

    def _samplings(self, translator: Translator, of_faces: bool) -> list[Sampling]:
        """What is drawn of each photo: one translation, or one in each style. Raises ImageError for a bad example."""
        sampling = Sampling(self.temperature, self.grain, self.seed)
        if self.styles:
            return [replace(sampling, style=translator.sample_style(seed)) for seed in self._style_seeds()]
        if self.style is None:
            return [sampling]
        example = load_image(self.style)
        box = self._face(example, self.style) if of_faces else None
        style = translator.encode_style(crop_box(example, box) if box else example, self.to)
        return [replace(sampling, style=style)]

    def _style_seeds(self) -> range:
        first = self.seed or 0
        return range(first, first + (self.styles or 0))

    def _settings(self, of_faces: bool) -> list[bytes]:
        """A checksum, for each of the samplings, of all but the photo that decides what is drawn."""
        noise = (self.temperature, self.grain, self.seed) if self.temperature else None
        digest = hashlib.blake2b(repr((self.to, noise, *["face"] * of_faces, *["always"] * self.face)).encode())
        folder = find_checkpoint(self.model or default_model(self.to), revision=self.revision)
        for name in (CONFIG, WEIGHTS):
            digest.update((folder / name).read_bytes())
        if self.style:
            digest.update(b"style" + self.style.read_bytes())
        if not self.styles:
            return [digest.digest()]
        return [hashlib.blake2b(digest.digest() + repr(seed).encode()).digest() for seed in self._style_seeds()]

    def _mark(self, source: Path, output: Path, settings: bytes) -> bytes:
        """What a drawing ends with: a checksum of photo and settings, 32 characters that tell nothing of either."""
        quality = bytes([self.quality or QUALITY]) if has_quality(output.suffix) else b""
        return hashlib.blake2b(settings + quality + source.read_bytes(), digest_size=16).hexdigest().encode()

    def _is_drawn(self, source: Path, output: Path, settings: bytes) -> bool:
        """Whether `output` is the drawing of `source`, and whole."""
        with contextlib.suppress(OSError):
            return output.exists() and is_marked(output, self._mark(source, output, settings))
        return False
