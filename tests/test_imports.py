"""Who may import whom: app -> unit.demo -> unit and train -> unit, never back and never in a circle.

The networks know nothing but torch, and Gradio is known to the page alone.
"""

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.photos import seasons

ROOT = Path(__file__).parent.parent
MODULES = {
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__"): path
    for path in (ROOT / "app.py", *(ROOT / "unit").rglob("*.py"), *(ROOT / "train").rglob("*.py"))
}
ENTRANCES = {"app", "unit.__main__", "train.__main__", *(name for name in MODULES if name.startswith("unit.cli"))}
PURE = [name for name in MODULES if name.startswith("unit.models") or name in ("unit.losses", "unit.noise")]
LIBRARY = [name for name in MODULES if name.split(".")[0] == "unit" and not name.startswith("unit.demo")]
TRAINER = [name for name in MODULES if name.split(".")[0] == "train"]


@cache
def imports(module: str) -> frozenset[str]:
    """Full names of all that a module imports, wherever in it: modules of this house, and others' packages."""
    names = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            within = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= (within & MODULES.keys()) or {str(node.module)}
    return frozenset(names)


def packages(module: str) -> set[str]:
    return {name.split(".")[0] for name in imports(module)}


def house(module: str) -> set[str]:
    return set(imports(module) & MODULES.keys())


def test_there_is_something_to_look_at() -> None:
    assert len(MODULES) > 50
    assert "unit.models.unit" in PURE
    assert "unit.demo.page" in MODULES
    assert house("unit.models.unit") >= {"unit.losses"}


def test_nothing_goes_in_a_circle() -> None:
    TopologicalSorter({name: house(name) for name in MODULES}).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("module", PURE)
def test_the_networks_know_only_torch(module: str) -> None:
    assert packages(module) <= {"torch", "unit", "collections", "dataclasses", "math", "typing"}
    assert house(module) <= {*PURE, "unit"}


@pytest.mark.parametrize("module", sorted(set(LIBRARY) - ENTRANCES - {"unit.usage"}))
def test_the_library_needs_neither_trainer_nor_page(module: str) -> None:
    assert not packages(module) & {"train", "app", "gradio", "tyro", "spaces", "efficientnet_lite_pytorch"}
    assert not {name for name in house(module) if name.startswith("unit.demo")}


@pytest.mark.parametrize("module", sorted(set(MODULES) - ENTRANCES))
def test_nobody_needs_the_entrances(module: str) -> None:
    assert not house(module) & ENTRANCES


@pytest.mark.parametrize("module", TRAINER)
def test_the_trainer_needs_no_page(module: str) -> None:
    assert not packages(module) & {"app", "gradio"}
    assert not {name for name in house(module) if name.startswith("unit.demo")}


@pytest.mark.parametrize("module", [name for name in MODULES if not name.startswith("train")])
def test_the_page_needs_no_trainer(module: str) -> None:
    assert "train" not in packages(module)


WINDOWS = """
import os, pkgutil, signal, sys
from importlib import import_module
from pathlib import Path

for name in ("fcntl", "resource", "pwd", "grp"):
    sys.modules[name] = None
for name in [name for name in vars(signal) if name.startswith("SIG")]:
    if name not in ("SIG_DFL", "SIG_IGN", "SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM"):
        delattr(signal, name)
open_file, is_file = os.open, Path.is_file

def open_no_folder(path, *options, **more):
    if os.path.isdir(path):
        raise PermissionError(13, "Permission denied")
    return open_file(path, *options, **more)

os.open = open_no_folder
Path.is_file = lambda path: not str(path).startswith("/proc") and is_file(path)

import app, train, unit
for package in (train, unit):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith("__main__"):
            import_module(module.name)

from train.__main__ import main

options = ("--model.dim 4 --model.n-res 1 --model.image-size 64 --discriminator multiscale --d-dim 4 --device cpu "
           "--weights.perceptual 0 --batch-size 2 --no-compile --workers 0 --steps 1 --run-dir run").split()
assert main(["compact", "--data", sys.argv[1], *options]) == 0
assert main(["plan", "compact", "--measure", *options]) == 1
"""


@pytest.mark.slow
def test_nothing_needs_what_windows_lacks(tmp_path, monkeypatch):
    """Modules, signals, folders that open like files, /proc: each is hidden, and a run goes through."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "data").mkdir()
    data = str(seasons(tmp_path / "data"))
    done = subprocess.run(
        [sys.executable, "-c", WINDOWS, data], cwd=tmp_path, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1].startswith("--measure needs Linux or macOS, or a GPU")
    assert list((tmp_path / "run").glob("step-*.safetensors"))
    assert len(list((tmp_path / "cache").rglob("pixels"))) == 2
