"""python -m unit translate"""

import contextlib
import errno
import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from PIL import Image
from tqdm import tqdm  # type: ignore[import-untyped]
from tyro.conf import Positional

from unit.checkpoint import CONFIG, WEIGHTS
from unit.cli.errors import FAILURES, UsageError, one_line
from unit.cli.files import check_result, check_writable, finished, identity, jobs, names_file, save, sweep
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
from unit.pipeline import Sampling

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
        sampling = Sampling(self.temperature, self.grain, self.seed)
        all_jobs = jobs(self.input, self.output, self.format)
        inputs = {identity(source) for source, _ in all_jobs}  # of all processes, none of which may overwrite them
        share = all_jobs[rank::world]
        named = all_jobs[0][1] == self.output
        drawn, failed, full = 0, 0, False
        with told_to_stop() as told:
            translator = load_translator(self.model, self.revision, self.to, gpu(local))
            check_writable(self.output.parent if named else self.output)
            if self.face and not translator.config.aligned:
                raise UsageError("this model translates whole photos, not faces: leave out --face.")
            of_faces = translator.config.aligned and not self.no_face
            settings = self._settings(of_faces)
            sweep({output for _, output in share})
            todo = [job for job in share if named or self.again or not self._is_drawn(*job, settings)]
            for source, output in tqdm(todo, unit="photo", disable=rank > 0 or None):  # None: no bar if nobody watches
                if told:
                    break
                try:
                    check_result(output, inputs)
                    photo = load_image(source) if of_faces else None
                    box = self._face(photo, source) if photo else None
                    crop = crop_box(photo, box) if photo and box else source
                    drawing = translator.draw(crop, self.to, sampling)
                    check_size(photo.size if photo else drawing.size, output.suffix)
                    picture = finished(drawing, quiet=rank > 0)
                    picture = paste(photo, picture, box) if photo and box else picture
                    save(picture, output, self.quality, b"" if named else self._mark(source, output, settings))
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

    def _check_words(self) -> None:
        if not self.input:
            raise UsageError("the following arguments are required: the pictures or folders to translate.")
        if self.face and self.no_face:
            raise UsageError("--face and --no-face contradict each other: leave out one.")
        check_format(self.output, self.format, self.quality, self.output.suffix if names_file(self.output) else "")

    def _face(self, photo: Image.Image, source: Path) -> Box | None:
        """The face to translate; None, and a word about it, where none is found and the whole photo is to be taken."""
        if found := find_faces(photo):
            return found[0]
        part = "the middle" if self.face else "all"
        tqdm.write(f"{source}: no face was found, so {part} of it is taken", file=sys.stderr)
        return centred(photo.size) if self.face else None

    def _settings(self, of_faces: bool) -> bytes:
        """A checksum of all but the photo that decides what is drawn."""
        noise = (self.temperature, self.grain, self.seed) if self.temperature else None
        digest = hashlib.blake2b(repr((self.to, noise, *["face"] * of_faces, *["always"] * self.face)).encode())
        folder = find_checkpoint(self.model or default_model(self.to), revision=self.revision)
        for name in (CONFIG, WEIGHTS):
            digest.update((folder / name).read_bytes())
        return digest.digest()

    def _mark(self, source: Path, output: Path, settings: bytes) -> bytes:
        """What a drawing ends with: a checksum of photo and settings, 32 characters that tell nothing of either."""
        quality = bytes([self.quality or QUALITY]) if has_quality(output.suffix) else b""
        return hashlib.blake2b(settings + quality + source.read_bytes(), digest_size=16).hexdigest().encode()

    def _is_drawn(self, source: Path, output: Path, settings: bytes) -> bool:
        """Whether `output` is the drawing of `source`, and whole."""
        with contextlib.suppress(OSError):
            return output.exists() and is_marked(output, self._mark(source, output, settings))
        return False
