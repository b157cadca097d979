"""The command line: python -m unit translate | sample | interpolate | info | benchmark | space. --help has examples."""

import argparse
import contextlib
import errno
import hashlib
import itertools
import os
import re
import signal
import sys
import tempfile
import textwrap
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm  # type: ignore[import-untyped]

from unit.checkpoint import CARD, CONFIG, WEIGHTS, partial_name, write_atomic
from unit.faces import Box, centred, crop_box, find_faces, paste
from unit.formats import CHOICES, QUALITY, WRITABLE, check_size, encoded, has_quality, is_marked, suffix_like
from unit.hub import find_checkpoint, load_pretrained
from unit.images import SUFFIXES, is_photo_folder, load_image
from unit.latency import CONFIGS, SIZES, benchmark, page
from unit.models.unit import UNIT, UNITConfig
from unit.pipeline import Sampling, Translator
from unit.system import print_anything, short_name
from unit.tiling import TiledImage

CHECKPOINTS = Path("checkpoints")  # of the working folder, which is the checkout for most
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
FAILURES = (ValueError, OSError, RuntimeError, MemoryError)  # of one picture or of a model; RuntimeError is PyTorch's

EXAMPLES = """\
examples:
  python -m unit translate garden.jpg --to winter -o garden_winter.png
  python -m unit translate photos more/*.jpg --to winter -o winter_photos --format webp --quality 80
  python -m unit translate garden.jpg --to winter -o out --temperature 1 --grain 8 --seed 3
  python -m unit translate cat.jpg --to dog -o dog.png
  torchrun --nproc-per-node 8 -m unit translate photos --to winter -o winter_photos
  python -m unit sample --model checkpoints/summer2winter --count 4 -o pairs
  python -m unit interpolate one.jpg two.jpg --to winter -o steps
  python -m unit info --model owner/name
  python -m unit benchmark --quick
  python -m unit space owner/name --hardware zero-a10g
"""

TRANSLATE = """\
formats:
  A drawing is a JPEG if the photo is one, or is a HEIC or AVIF; a WebP if the photo is one; and else a PNG. --format
  makes all of them the same; a name after -o says it by its ending. A photo may have 100 million pixels, a JPEG
  65,500 and a WebP 16,383 a side.

drawings that are there already:
  In a folder, a drawing made from the same photo (its bytes count, not its date) with the same model and options is
  left alone, so a run that was stopped goes on when it is started again. Any other file of that name is drawn anew;
  --again draws all of them. To tell, a drawing ends with a checksum of what it was made from; it holds nothing else of
  the photo but its pixels. A drawing that -o names itself (-o garden.png) is always made.

many processes:
  Started by torchrun, accelerate launch or srun, or with RANK and WORLD_SIZE set by hand, each process draws its share
  of the photos, on the GPU that LOCAL_RANK says. A seed means the same drawings however many processes there are.
  SIGTERM ends a process after the photo it is at.

exit status:
  0 if all is drawn, and on SIGTERM; 1 if a photo could not be drawn, while the others are. One of many processes says
  what failed and ends with 0, as launchers would stop the others: for the status, run it again in one process.
"""

BENCHMARK = """\
  Prints a Markdown table: medians in milliseconds of Translator.encode, decode and translate, PIL image to PIL image.
  Without --model and --layouts, all models in checkpoints/. ONNX Runtime (pip install onnx onnxscript onnxruntime) and
  OpenVINO (pip install openvino) are measured if they are installed, torch.compile if there is a C++ compiler; to
  build them takes about a minute. Let nothing else run. OMP_NUM_THREADS says how many threads draw.
"""


SPACE = """\
It needs a token that may write: hf auth login, or HF_TOKEN. Each run is one commit. It replaces app.py, start.py,
unit/, checkpoints/, requirements.txt and LICENSE, and in README.md what belongs to the program; title, emoji, words and
the rest of README.md stay as they are on the Space, and so do all other files. docs/hosting.md says more.
"""


class UsageError(Exception):
    """What was asked for makes no sense; the message is one line that says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0 done, 1 something failed, 2 not a command (as argparse has it)."""
    options = _parser().parse_args(arguments)
    print_anything()
    try:
        return options.run(options)
    except UsageError as error:
        return _complain(str(error), 2)
    except FAILURES as error:
        return _complain(_one_line(error), 1)
    except KeyboardInterrupt:
        return _complain("stopped.", 130)


def translate(options: argparse.Namespace) -> int:
    rank, world, local = _process()
    sampling = Sampling(options.temperature, options.grain, options.seed)
    _check_format(options, options.output.suffix if _names_file(options.output) else "")
    jobs = _jobs(options.input, options.output, options.format)
    inputs = {_identity(source) for source, _ in jobs}  # of all processes, none of which may overwrite them
    share = jobs[rank::world]
    named = jobs[0][1] == options.output
    drawn, failed, full = 0, 0, False
    with _told_to_stop() as told:
        translator = _translator(options, _gpu(local))
        _check_writable(options.output.parent if named else options.output)
        if options.face and not translator.config.aligned:
            raise UsageError("this model translates whole photos, not faces: leave out --face.")
        of_faces = translator.config.aligned and options.face is not False
        settings = _settings(options, of_faces)
        _sweep({output for _, output in share})
        todo = [job for job in share if named or options.again or not _is_drawn(*job, settings, options)]
        for source, output in tqdm(todo, unit="photo", disable=rank > 0 or None):  # None: no bar where nobody watches
            if told:
                break
            try:
                _check_result(output, inputs)
                photo = load_image(source) if of_faces else None
                box = _face(photo, source, always=bool(options.face)) if photo else None
                drawing = translator.draw(
                    crop_box(photo, box) if photo and box else source,
                    options.to,
                    sampling,
                )
                check_size(photo.size if photo else drawing.size, output.suffix)
                picture = _finished(drawing, quiet=rank > 0)
                picture = paste(photo, picture, box) if photo and box else picture
                _save(picture, output, options, b"" if named else _mark(source, output, settings, options))
                drawn += 1
            except FAILURES as error:
                failed += 1
                tqdm.write(f"{source}: {_one_line(error)}", file=sys.stderr)
                if full := isinstance(error, OSError) and error.errno in NO_ROOM:
                    break
    if not named:
        facts = [
            f"{drawn} of {len(share)} drawn",
            f"{len(share) - len(todo)} were there already (--again draws them anew)" if len(todo) < len(share) else "",
            f"{failed} failed" if failed else "",
            "stopped by SIGTERM: the same command goes on" if told else "",
            "stopped as there is no room: make some, and the same command goes on" if full else "",
        ]
        print(f"process {rank + 1} of {world}: " if world > 1 else "", ", ".join(filter(None, facts)), sep="")
    return 1 if failed and world == 1 and not told else 0


def sample(options: argparse.Namespace) -> int:
    suffix = CHOICES[options.format or "png"]
    _check_format(options, suffix)
    translator = _translator(options)
    _check_writable(options.output)
    pairs = translator.draw_pairs(options.count, Sampling(1.0, seed=options.seed), size=options.size)
    drawings = (drawing for pair in pairs for drawing in pair)
    names = [f"{i:04d}_{name}{suffix}" for i in range(options.count) for name in translator.domains]
    return _draw_all(drawings, names, options)


def interpolate(options: argparse.Namespace) -> int:
    suffix = CHOICES[options.format] if options.format else suffix_like(options.first)
    _check_format(options, suffix)
    translator = _translator(options)
    _check_writable(options.output)
    drawings = translator.draw_path(options.first, options.second, options.to, options.steps)
    names = [f"{i:04d}{suffix}" for i in range(options.steps)]
    return _draw_all(drawings, names, options, {_identity(options.first), _identity(options.second)})


def _draw_all(
    drawings: Iterable[TiledImage], names: Sequence[str], options: argparse.Namespace, inputs: Collection[object] = ()
) -> int:
    """Draw pictures of one size and save each, as `names` says, before the next is begun. Returns the exit status."""
    paths = [options.output / name for name in names]
    for path in paths:
        _check_result(path, inputs)
    saved = 0
    try:
        for path, drawing in zip(paths, tqdm(drawings, total=len(paths), unit="picture", disable=None), strict=True):
            check_size(drawing.size, path.suffix)
            _save(_finished(drawing), path, options)
            saved += 1
    except OSError as error:
        return _complain(f"{_one_line(error)} {saved} of {len(paths)} pictures are saved.", 1)
    return 0


def _finished(drawing: TiledImage, *, quiet: bool = False) -> Image.Image:
    """The drawing, once it is done; until then, a bar of its tiles for whoever watches."""
    for _ in tqdm(drawing, unit="tile", leave=False, disable=quiet or len(drawing) == 1 or None):
        pass
    return drawing.image


def info(options: argparse.Namespace) -> int:
    source = options.model or _default_model()
    model = _unit(source, options.revision)
    folder = find_checkpoint(source, revision=options.revision)
    config = model.config
    parts = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    width, height = options.size or (config.image_size, config.image_size)
    print(f"domains     {config.domain_a} (a), {config.domain_b} (b)")
    print(f"layout      {config.layout}, dim {config.dim}, trained on {config.image_size} pixel crops")
    print(f"parameters  {sum(parts.values()):,}")
    for name, count in parts.items():
        print(f"  {name:<14}{count:>12,}")
    print(f"on disk     {(folder / WEIGHTS).stat().st_size / 1e6:.1f} MB")
    print(f"translating {width} x {height} pixels takes {flops(config, width, height) / 1e9:.2f} GFLOP")
    if front := _front_matter(folder / CARD):
        print(f"model card\n{front}")
    return 0


def space(options: argparse.Namespace) -> int:
    # Imported here because huggingface_hub is slow to import, and nothing else needs it that works with local models.
    from unit.demo.space import upload, write

    if options.dry_run:
        write(options.dry_run, options.models, hardware=options.hardware)
        print(options.dry_run)
    else:
        print(*upload(options.repo, options.models, private=options.private, hardware=options.hardware), sep="\n")
    return 0


def measure(options: argparse.Namespace) -> int:
    if options.app:
        if not Path("app.py").is_file():
            raise UsageError(f"there is no app.py in {Path.cwd()}: run this in a checkout of this program.")
        for line in page(*(options.sizes or [])[:1]):
            print(line, flush=True)
        return 0
    if options.layouts:
        models = {name: UNIT(CONFIGS[name]) for name in options.layouts}
    else:
        sources = [options.model] if options.model else [p for p in sorted(CHECKPOINTS.glob("*")) if p.is_dir()]
        if not sources:
            raise UsageError("there is no model in checkpoints/: name one with --model, or layouts with --layouts.")
        models = {Path(source).name: _unit(source, options.revision) for source in sources}
    sizes = options.sizes or (SIZES[:1] if options.quick else SIZES)
    seconds = options.seconds or (5 if options.quick else 60)
    for line in benchmark(models, sizes, seconds, built=not options.quick):
        print(line, flush=True)
    return 0


def flops(config: UNITConfig, width: int, height: int) -> int:
    """Floating point operations to translate one picture, sides rounded up to whole latent pixels, nothing mirrored."""
    h, w = (-(-side // config.downsampling) * config.downsampling for side in (height, width))
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        UNIT(config).translate(torch.empty(1, config.channels_a, h, w), "a", "b")
    return counter.get_total_flops()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m unit",
        description="Draw photos of one domain in the other, with a trained UNIT.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    model = argparse.ArgumentParser(add_help=False)
    model.add_argument(
        "--model", help="folder or Hub repository owner/name (default: the one in checkpoints/ that can)"
    )
    model.add_argument("--revision", help="branch, tag or commit of the Hub repository")
    seed = argparse.ArgumentParser(add_help=False)
    seed.add_argument("--seed", type=int, help="of the noise (default: a new one each time)")
    size = argparse.ArgumentParser(add_help=False)
    size.add_argument("--size", type=_count, nargs=2, metavar=("W", "H"), help="pixels (default: the training crops')")
    target = argparse.ArgumentParser(add_help=False)
    target.add_argument("--to", required=True, metavar="DOMAIN", help="the domain to draw in, for example winter")
    result = argparse.ArgumentParser(add_help=False)
    result.add_argument("--format", choices=CHOICES, help="of the drawings (default: like the photo; png without one)")
    result.add_argument(
        "--quality", type=_percent, metavar="1..100", help=f"of JPEG and WebP: less is smaller (default: {QUALITY})"
    )

    def command(name: str, help: str, *parents: argparse.ArgumentParser, epilog: str = "") -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=help,
            description=help,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=[model, *parents],
        )

    c = command(
        "translate", "draw photos, or all photos of folders, in the other domain", target, seed, result,
        epilog=TRANSLATE,
    )  # fmt: skip
    c.add_argument("input", type=Path, nargs="+", help="picture or folder")
    c.add_argument("-o", "--output", type=Path, required=True, help="a folder; or a file, for one picture")
    c.add_argument(
        "--temperature", type=float, default=0.0, help="strength of the noise, 1 as in training (default: 0)"
    )
    c.add_argument("--grain", type=_count, default=1, help="size of the noise in latent pixels (default: 1)")
    c.add_argument(
        "--face", action=argparse.BooleanOptionalAction, help="translate only the face of a cat or dog, in its place: "
        "always (in the middle, where none is found) or never (default: where one is found, if the model is of faces)"
    )  # fmt: skip
    c.add_argument("--again", action="store_true", help="draw what is there already anew")
    c.set_defaults(run=translate)

    c = command("sample", "draw pairs of pictures from nothing but noise", seed, size, result)
    c.add_argument("--count", type=_count, default=1, help="number of pairs (default: 1)")
    c.add_argument("-o", "--output", type=Path, required=True, help="a folder")
    c.set_defaults(run=sample)

    c = command("interpolate", "go from one photo to another through the latent space", target, result)
    c.add_argument("first", type=Path)
    c.add_argument("second", type=Path)
    c.add_argument("--steps", type=_count, default=8, help="number of pictures (default: 8)")
    c.add_argument("-o", "--output", type=Path, required=True, help="a folder")
    c.set_defaults(run=interpolate)

    c = command("info", "say what a model is, how large, and how it was trained", size)
    c.set_defaults(run=info)

    c = command("benchmark", "measure the ways to draw on this CPU against each other", epilog=BENCHMARK)
    c.add_argument("--layouts", nargs="+", choices=CONFIGS, help="networks with random weights instead of a model")
    c.add_argument("--sizes", type=_size, nargs="+", metavar="WxH", help="pixels (default: 256x256 512x384 1024x768)")
    c.add_argument("--seconds", type=float, help="for the rounds, shared by models and sizes (default: 60)")
    c.add_argument("--quick", action="store_true", help="only what needs no building, 256x256, 5 seconds")
    c.add_argument(
        "--app",
        action="store_true",
        help="instead: how soon the page is there, what a call takes (of the first of --sizes)",
    )
    c.set_defaults(run=measure)

    help = "make this program's page a Hugging Face Space, or update it there"
    c = commands.add_parser(
        "space", help=help, description=help, epilog=SPACE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    c.add_argument("repo", metavar="owner/name", help="the Space, made if there is none")
    c.add_argument("--private", action="store_true", help="make it private, if there is none yet")
    c.add_argument(
        "--models", type=_repos, default=[], metavar="owner/one,owner/two",
        help="models of the Hub to show (default: all in checkpoints/)",
    )  # fmt: skip
    c.add_argument("--hardware", help="for example cpu-basic, zero-a10g, t4-small (default: what it has)")
    c.add_argument("--dry-run", type=Path, metavar="FOLDER", help="write to a new folder instead, and upload nothing")
    c.set_defaults(run=space)
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _percent(text: str) -> int:
    number = _count(text)
    if number > 100:
        raise argparse.ArgumentTypeError("must be 100 or less")
    return number


def _repos(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if bad := [name for name in names if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name)]:
        raise argparse.ArgumentTypeError(f"{bad[0]} is not the name of a model of the Hub: write owner/name")
    return names


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return _count(width), _count(height)


def _process() -> tuple[int, int, int]:
    """Of the processes that were started alike: which this is, how many they are, which this is on its machine."""
    # The last belong to srun: in a SLURM script itself, where there is one process, the second is not set.
    launchers = ("RANK", "WORLD_SIZE", "LOCAL_RANK"), ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")
    for names in launchers:
        rank, world, local = map(os.environ.get, names)
        if rank is None or world is None:
            continue
        with contextlib.suppress(ValueError):
            if 0 <= int(rank) < int(world):
                return int(rank), int(world), int(local or rank)
        raise UsageError(f"{names[0]}={rank} and {names[1]}={world} do not say which of how many processes this is.")
    return 0, 1, 0


def _gpu(local: int) -> torch.device | None:
    """Processes on one machine take its GPUs in turn. None: there are none, or not NVIDIA's."""
    return torch.device("cuda", local % torch.cuda.device_count()) if torch.cuda.is_available() else None


@contextlib.contextmanager
def _told_to_stop() -> Iterator[list[int]]:
    """A list that SIGTERM enters instead of killing: SLURM and torchrun send it some seconds before they do kill."""
    told: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
    try:
        yield told
    finally:
        signal.signal(signal.SIGTERM, before)


def _translator(options: argparse.Namespace, device: torch.device | None = None) -> Translator:
    source = options.model or _default_model(getattr(options, "to", None))
    translator = Translator.from_pretrained(source, revision=options.revision, device=device)
    target = getattr(options, "to", translator.domains[0])
    if target not in translator.domains:
        raise UsageError(f"--to {target}: this model draws {' and '.join(translator.domains)}.")
    return translator


def _unit(source: str | Path, revision: str | None) -> UNIT:
    """A model whose networks this program can take apart."""
    if not isinstance(model := load_pretrained(source, revision=revision), UNIT):
        raise UsageError(f"{source} is no UNIT, and this command knows no other model.")
    return model


def _default_model(target: str | None = None) -> Path:
    """The only model there is, or the only one that draws `target`."""
    found = sorted(p for p in CHECKPOINTS.glob("*") if p.is_dir())
    able = [p for p in found if target in load_pretrained(p).config.domains] if target and len(found) > 1 else found
    if len(able) != 1:
        names = ", ".join(p.name for p in found) or "none"
        raise UsageError(f"say which model to use with --model (in checkpoints: {names}).")
    return able[0]


def _names_file(output: Path) -> bool:
    """Whether -o is the name of one picture, and not of a folder."""
    return output.suffix.lower() in SUFFIXES | WRITABLE.keys() and not output.is_dir()


def _check_format(options: argparse.Namespace, suffix: str) -> None:
    """Raise UsageError for what contradicts itself. suffix: of the results; empty if each may have another."""
    asked = CHOICES[options.format] if options.format else ""
    if suffix and suffix.lower() not in WRITABLE:
        raise UsageError(f"-o {options.output}: no drawing can be written as {suffix}; take {', '.join(WRITABLE)}.")
    if suffix and asked and WRITABLE[suffix.lower()] != WRITABLE[asked]:
        raise UsageError(f"-o {options.output} and --format {options.format} contradict each other: leave out one.")
    if options.quality and (kind := suffix or asked) and not has_quality(kind):
        raise UsageError(f"--quality is for jpg and webp, and this would be {kind[1:]}: leave it out, or name another.")


def _jobs(inputs: Sequence[Path], output: Path, kind: str | None = None) -> list[tuple[Path, Path]]:
    """Every picture and the file its drawing goes to. No two go to the same file."""
    names_file = _names_file(output)
    if names_file and (len(inputs) > 1 or inputs[0].is_dir()):
        raise UsageError(f"-o {output} is one file, and there may be several pictures: name a folder.")
    if names_file:
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
    return _identity(one) == _identity(other)


def _identity(path: Path) -> object:
    """Equal for two names of one file: by its number on the disk if it exists, which links and case cannot hide."""
    try:
        status = path.stat()
    except OSError:
        return path.resolve()
    return status.st_dev, status.st_ino


def _face(photo: Image.Image, source: Path, *, always: bool) -> Box | None:
    """The face to translate; None, and a word about it, where none is found and the whole photo is to be taken."""
    if found := find_faces(photo):
        return found[0]
    tqdm.write(f"{source}: no face was found, so {'the middle' if always else 'all'} of it is taken", file=sys.stderr)
    return centred(photo.size) if always else None


def _settings(options: argparse.Namespace, of_faces: bool) -> bytes:
    """A checksum of all but the photo that decides what is drawn."""
    noise = (options.temperature, options.grain, options.seed) if options.temperature else None
    digest = hashlib.blake2b(repr((options.to, noise, *["face"] * of_faces, *["always"] * bool(options.face))).encode())
    folder = find_checkpoint(options.model or _default_model(options.to), revision=options.revision)
    for name in (CONFIG, WEIGHTS):
        digest.update((folder / name).read_bytes())
    return digest.digest()


def _mark(source: Path, output: Path, settings: bytes, options: argparse.Namespace) -> bytes:
    """What a drawing ends with: a checksum of photo and settings, 32 characters that tell nothing of either."""
    quality = bytes([options.quality or QUALITY]) if has_quality(output.suffix) else b""
    return hashlib.blake2b(settings + quality + source.read_bytes(), digest_size=16).hexdigest().encode()


def _is_drawn(source: Path, output: Path, settings: bytes, options: argparse.Namespace) -> bool:
    """Whether `output` is the drawing of `source`, and whole."""
    with contextlib.suppress(OSError):
        return output.exists() and is_marked(output, _mark(source, output, settings, options))
    return False


def _sweep(outputs: Collection[Path]) -> None:
    """Remove what killed processes left half written of these files (see `write_atomic`)."""
    begun = {output.with_name(partial_name(output)) for output in outputs}
    for folder in {output.parent for output in outputs}:
        for partial in folder.glob(".*.tmp"):
            if folder / partial.name.rsplit(".", 2)[0] in begun:
                partial.unlink(missing_ok=True)


def _check_writable(folder: Path) -> None:
    """Make the folder that results go to. Raises UsageError, before any work is done, where none could be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"-o {folder} cannot be written to ({error.strerror}): choose another folder.") from None


def _check_result(path: Path, inputs: Collection[object]) -> None:
    """Make the folder of a result. Raises ValueError and OSError, before it is drawn, where it could not be saved."""
    if _identity(path) in inputs:
        raise ValueError(f"{path} is an input and would be overwritten: choose another -o.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        path.stat()  # which raises another OSError for a name that is too long for this disk


def _save(image: Image.Image, path: Path, options: argparse.Namespace, mark: bytes = b"") -> None:
    write_atomic(path, encoded(image, path.suffix, options.quality or QUALITY, mark))


def _front_matter(card: Path) -> str:
    """The block between the first two lines of three dashes, as its author wrote it.

    Without the Hub's table of measures (`model-index`), a hundred lines of what metrics.md says in twenty.
    """
    try:
        first, *lines = card.read_text(encoding="utf-8").splitlines()
        block = "\n".join(lines[: lines.index("---")]) if first == "---" else ""
    except (OSError, ValueError):
        return ""
    return textwrap.indent(re.sub(r"^model-index:\n(?:[ -].*(?:\n|$))*", "", block, flags=re.MULTILINE), "  ")


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the file'}: {error.strerror}."
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error):
        return "there is not enough memory."
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _complain(message: str, status: int) -> int:
    print(message, file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
