"""Who may import whom: app -> unit, train -> unit, never back; and the model knows of nothing but torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.photos import seasons

ROOT = Path(__file__).parent.parent
TORCH_ONLY = {"torch", "unit", "collections", "dataclasses", "typing"}


def imports(path: Path) -> set[str]:
    """Full names of the modules that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            names.add(str(node.module))
    return names


def packages(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


@pytest.mark.parametrize("path", sorted((ROOT / "unit").glob("*.py")), ids=lambda p: p.name)
def test_the_library_needs_neither_trainer_nor_app(path):
    assert not packages(path) & {"train", "app", "gradio", "tyro", "efficientnet_lite_pytorch"}


@pytest.mark.parametrize("name", ["blocks", "layouts", "losses", "unit", "discriminator"])
def test_the_model_knows_only_torch(name):
    path = ROOT / "unit" / f"{name}.py"
    assert packages(path) <= TORCH_ONLY
    assert not imports(path) & {"unit.images", "unit.hub", "unit.pipeline"}


@pytest.mark.parametrize("path", sorted((ROOT / "train").glob("*.py")), ids=lambda p: p.name)
def test_the_trainer_needs_no_app(path):
    assert not packages(path) & {"app", "gradio"}


def test_the_app_needs_no_trainer():
    assert "train" not in packages(ROOT / "app.py")


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
