"""How long a drawing takes on this machine's CPU, and what else could draw it: python -m unit benchmark

Every way to run the networks is a Translator, so that a time is that of `Translator.translate`: PIL image in, PIL image
out. The ways take turns in one process, so a machine that changes its pace changes it for all of them.
"""

import copy
import importlib.util
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor, nn

from unit.images import to_image
from unit.models.munit import MUNIT, MUNITConfig
from unit.models.protocol import Code, Domain
from unit.models.unit import UNIT, UNITConfig
from unit.pipeline import Translator, best_dtype
from unit.system import no_proxy

SIZES = ((256, 256), (512, 384), (1024, 768))  # width, height
PAGE = (640, 480)  # what the page looks at of most photos
PLAIN = "eager fp32"  # what the others are compared with
CONFIGS: dict[str, UNITConfig | MUNITConfig] = {  # as large as in the presets of the trainer
    "compact": UNITConfig(layout="compact", image_size=128, dim=32),
    "compact8": UNITConfig(layout="compact8", image_size=128, dim=32),
    "paper": UNITConfig(layout="paper", image_size=256, dim=64),
    "master2018": UNITConfig(layout="master2018", image_size=256, dim=64, n_res=4, n_res_shared=0),
    "munit-compact": MUNITConfig(layout="munit-compact", image_size=128, dim=48),
    "munit": MUNITConfig(layout="munit", image_size=256, dim=64, n_res=4, n_res_shared=0),
}
CPU = torch.device("cpu")

Net = Callable[[Tensor], Tensor]
Build = Callable[[nn.Module, Tensor, int], Net]  # a network, an input for it, what its sides must be multiples of


@dataclass(frozen=True)
class Row:
    model: str
    size: tuple[int, int]
    way: str
    encode: float  # milliseconds, medians
    decode: float
    translate: float
    ratio: float  # how many times as fast as PLAIN from end to end
    difference: int  # grey levels, the largest of all pixels

    def __str__(self) -> str:
        width, height = self.size
        times = " | ".join(f"{ms:,.0f}" for ms in (self.encode, self.decode, self.translate))
        return f"| {self.model} | {width} x {height} | {self.way} | {times} | {self.ratio:.2f} | {self.difference} |"


HEAD = """\
| model | pixels | way | encode, ms | decode, ms | end to end, ms | times as fast | grey levels apart |
|---|---|---|---|---|---|---|---|"""


def benchmark(
    models: Mapping[str, UNIT | MUNIT],
    sizes: Sequence[tuple[int, int]] = SIZES,
    seconds: float = 60,
    built: bool = True,
) -> Iterator[str]:
    """Lines of Markdown: the machine, the table, and what could not be measured.

    seconds: for the rounds of all models and sizes; each gets at least one round, however long it takes.
    built: also what has to be compiled or exported first, which takes half a minute a model.
    """
    yield f"{machine()}.\n"
    yield HEAD
    notes: list[str] = []
    for name, model in models.items():
        translators = ways(model, notes, built)
        for size in sizes:
            for row in measure(name, translators, size, seconds / len(models) / len(sizes)):
                yield str(row)
    yield ""
    yield from dict.fromkeys(notes)


def page(size: tuple[int, int] = PAGE, calls: int = 9) -> Iterator[str]:
    """Lines of Markdown: how soon `python app.py` answers, and what a call of /translate takes beside the drawing.

    It starts the app with its models on a port of its own, and stops it.
    """
    with no_proxy():
        from gradio_client import Client, handle_file  # slow to import

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {**os.environ, "GRADIO_SERVER_PORT": str(port), "GRADIO_SERVER_NAME": "127.0.0.1"}
    url = f"http://127.0.0.1:{port}"
    start = time.perf_counter()
    with no_proxy(), tempfile.TemporaryDirectory() as folder, subprocess.Popen(
        [sys.executable, "app.py"], env=settings, stdout=subprocess.DEVNULL
    ) as app:  # fmt: skip
        try:
            while app.poll() is None and not _answers(url):
                time.sleep(0.05)
            yield f"- `python app.py` answers after {time.perf_counter() - start:.1f} s."
            client = Client(url, verbose=False, download_files=False, httpx_kwargs={"timeout": 60})
            (first, *_) = client.predict(api_name="/models")
            translator = Translator.from_pretrained(Path("checkpoints", first["name"]))
            ways = []
            for name, pixels in (("warm-up.jpg", PAGE), ("photo.jpg", size)):
                path = Path(folder, name)
                photo(pixels).save(path, quality=92)
                call = partial(
                    client.predict, image=handle_file(path), direction=first["directions"][0], api_name="/translate"
                )
                ways.append((call, partial(translator.translate, path, translator.domains[1])))
            (call, draw), (warm_up, _) = ways[1], ways[0]
            warm_up()
            idle = _megabytes(app.pid, "VmRSS", forget=True)
            start = time.perf_counter()
            first_call = _milliseconds(call) / 1000
            yield f"- /translate of {size[0]}x{size[1]} pixels: {first_call:,.1f} s the first time."
            if idle:
                peak = _megabytes(app.pid, "VmHWM")
                more = max(0, peak - idle)  # Linux counts both roughly: the peak can seem to lie a little below
                yield f"- Memory of the app: {idle:,.0f} MB idle, at most {more:,.0f} MB more for that."
            pairs = [(_milliseconds(call), _milliseconds(draw))]
            while len(pairs) < calls and time.perf_counter() - start < 60:
                pairs.append((_milliseconds(call), _milliseconds(draw)))
            whole, drawing = (statistics.median(column) for column in zip(*pairs, strict=True))
            rest = max(whole - drawing, 0)
            yield (
                f"- Again, {len(pairs)} times: {whole:,.0f} ms, {rest:,.0f} of it ({rest / whole:.0%}) "
                "beside `Translator.translate`: upload, queue, PNG, answer."
            )
        finally:
            app.terminate()


def _megabytes(process: int, field: str, forget: bool = False) -> float:
    """A figure of /proc/PID/status; 0 where there is none. forget: the highest so far begins anew (VmHWM)."""
    try:
        if forget:
            Path(f"/proc/{process}/clear_refs").write_text("5")
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(field)), 0)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def machine() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    others = [f"{name} {version(name)}" for name in ("onnxruntime", "openvino") if importlib.util.find_spec(name)]
    return ", ".join(
        [
            f"{names[0] if names else platform.processor() or platform.machine()}, {os.cpu_count()} cores",
            f"{torch.get_num_threads()} threads",
            torch.backends.cpu.get_cpu_capability(),
            "bf16 instructions" if best_dtype(CPU) == torch.bfloat16 else "no bf16 instructions",
            f"PyTorch {torch.__version__}",
            *others,
            f"{date.today()}",
            f"load {os.getloadavg()[0]:.1f} before" if hasattr(os, "getloadavg") else "",
        ]
    ).removesuffix(", ")


def ways(model: UNIT | MUNIT, notes: list[str], built: bool = True) -> dict[str, Translator]:
    """Name -> a translator that runs the networks this way. `notes` collects those that cannot be had, and why.

    built: see `benchmark`.
    """
    found = {PLAIN: Translator(model, CPU, torch.float32)}
    if best_dtype(CPU) == torch.bfloat16:
        found["eager bf16"] = Translator(model, CPU, torch.bfloat16)
    else:
        notes.append("- eager bf16: left out, as this CPU does not multiply it and takes many times as long.")
    if not built:
        return found
    candidates: list[tuple[str, Sequence[str], Build]] = [
        ("torch.compile fp32", (), _compiled),
        ("ONNX Runtime fp32", ("onnx", "onnxscript", "onnxruntime"), _onnxruntime),
        ("OpenVINO fp32", ("openvino",), _openvino),
    ]
    for name, packages, build in candidates:
        missing = [package for package in packages if not importlib.util.find_spec(package)]
        if build is _compiled and not shutil.which(os.environ.get("CXX", "g++")):
            missing = ["C++ compiler"]
        if missing:
            notes.append(f"- {name}: left out, for there is no {' and no '.join(missing)}.")
            continue
        try:
            start = time.perf_counter()
            found[name] = _translator(model, build)
            _draw(found[name], photo((128, 96)))  # torch.compile waits for what it shall draw
            notes.append(f"- {name}: ready after {time.perf_counter() - start:.0f} s.")
        except Exception as error:  # whatever a runtime does not like must not keep the others from being measured
            found.pop(name, None)
            notes.append(f"- {name}: {type(error).__name__}, {(str(error).strip() or '?').splitlines()[0]}")
    return found


def measure(
    name: str, translators: Mapping[str, Translator], size: tuple[int, int], seconds: float, rounds: int = 15
) -> list[Row]:
    """Rounds in which all take their turn, at most `rounds` and for about `seconds`, after one to warm up."""
    image = photo(size)
    start = time.perf_counter()
    drawings = {way: np.asarray(_draw(translator, image), int) for way, translator in translators.items()}
    times: dict[str, list[tuple[float, float, float]]] = {way: [] for way in translators}
    for done in range(rounds):
        if done and (time.perf_counter() - start) * (done + 2) / (done + 1) > seconds:
            break
        for way, translator in translators.items():
            source, target = translator.domains
            latent = translator.encode(image, source)
            times[way].append(
                (
                    _milliseconds(partial(translator.encode, image, source)),
                    _milliseconds(partial(translator.decode, latent, target)),
                    _milliseconds(partial(translator.translate, image, target)),
                )
            )
    table: list[Row] = []
    for way, rows in times.items():
        encode, decode, translate = (statistics.median(column) for column in zip(*rows, strict=True))
        plain = table[0].translate if table else translate  # PLAIN is the first
        difference = int(abs(drawings[way] - drawings[PLAIN]).max())
        table.append(Row(name, size, way, encode, decode, translate, plain / translate, difference))
    return table


def photo(size: tuple[int, int]) -> Image.Image:
    """Soft blotches of colour, the same every time: as good as a photo to measure with."""
    width, height = size
    noise = torch.rand(1, 3, height // 16 + 2, width // 16 + 2, generator=Generator().manual_seed(0))
    return to_image(noise * 2 - 1).resize(size, Image.Resampling.BICUBIC)


class _Networks:
    """Stands in for the model of a Translator that draws photos of a in b."""

    def __init__(self, encode: Net, decode: Net):
        self._encode, self._decode = encode, decode

    def infer(self, x: Tensor, domain: Domain) -> Code:
        return Code(self._encode(x))

    def decode(self, code: Code, domain: Domain) -> Tensor:
        return self._decode(code.content)


class _MeanStyle(nn.Module):
    """Contents of a MUNIT's a drawn in b with the mean style, which is what `Translator.translate` asks for."""

    def __init__(self, model: MUNIT):
        super().__init__()
        self.model = model

    def forward(self, content: Tensor) -> Tensor:
        return self.model.decode(Code(content), "b")


def _translator(model: UNIT | MUNIT, build: Build) -> Translator:
    """A Translator from a to b whose networks `build` has prepared."""
    translator = Translator(model, CPU, torch.float32)
    model = copy.deepcopy(model).requires_grad_(False).float().to(memory_format=torch.channels_last)
    encoder = nn.Sequential(*model.encoder_a, *model.encoder_shared).eval()
    unit = nn.Sequential(*model.decoder_shared, *model.decoder_b)
    decoder = (_MeanStyle(model) if isinstance(model, MUNIT) else unit).eval()
    d = model.config.downsampling
    x, z = torch.zeros(1, model.config.channels_a, 32 * d, 24 * d), torch.zeros(1, 4 * model.config.dim, 32, 24)
    networks: Any = _Networks(build(encoder, x, d), build(decoder, z, 1))
    translator._model = networks
    return translator


def _compiled(net: nn.Module, x: Tensor, multiple: int) -> Net:
    return torch.compile(net, dynamic=True)


def _onnxruntime(net: nn.Module, x: Tensor, multiple: int) -> Net:
    import onnxruntime

    sides = {axis: multiple * torch.export.Dim(name, min=2, max=4096) for axis, name in ((2, "height"), (3, "width"))}
    program = torch.onnx.export(net, (x,), dynamic_shapes=(sides,), dynamo=True, verbose=False)
    assert program is not None  # as it is for dynamo=True
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.onnx")
        program.save(path)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: torch.from_numpy(session.run(None, {name: x.contiguous().numpy()})[0])


def _openvino(net: nn.Module, x: Tensor, multiple: int) -> Net:
    import openvino

    options = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.compile_model(openvino.convert_model(net, example_input=x), "CPU", options)
    return lambda x: torch.from_numpy(compiled([x.contiguous().numpy()])[0])


def _draw(translator: Translator, image: Image.Image) -> Image.Image:
    return translator.translate(image, translator.domains[1])


def _milliseconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return 1000 * (time.perf_counter() - start)
