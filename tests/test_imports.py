"""Who may import whom: app -> unit, train -> unit, never back; and the model knows of nothing but torch."""

import ast
from pathlib import Path

import pytest

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
