"""`pip install .`: what is in the wheel, what it needs, and that it works where nothing else of this checkout is."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import unit

ROOT = Path(__file__).parent.parent
PINS = ("requirements.txt", "train/requirements.txt", "tests/requirements.txt")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what pip would install. The wheel is built of a copy, for building leaves files in its source."""
    source, wheels, folder = map(tmp_path_factory.mktemp, ("source", "wheels", "installed"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "unit", source / "unit")
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", wheels, source], check=True)
    (wheel,) = wheels.glob("*.whl")
    shutil.unpack_archive(wheel, folder, "zip")
    return folder


@pytest.fixture(scope="module")
def distribution(installed: Path) -> Distribution:
    (found,) = distributions(path=[str(installed)])
    return found


# ---- what is in it ---------------------------------------------------------------------------------------------------


def files(folder: Path) -> set[str]:
    paths = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {path for path in paths if "__pycache__" not in path}


def test_the_wheel_holds_the_package_and_nothing_else(installed: Path) -> None:
    (facts,) = installed.glob("*.dist-info")
    assert {path.name for path in installed.iterdir()} == {"unit", facts.name}
    assert files(installed / "unit") == files(ROOT / "unit")
    assert files(installed / "unit") >= {"py.typed", "finder.safetensors", "demo/page.css", "demo/page.js"}
    assert not list(installed.rglob("__pycache__"))
    assert (facts / "licenses" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_the_version_has_one_source(distribution: Distribution) -> None:
    assert distribution.version == unit.__version__
    assert f"\n## {unit.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


ALONE = """
import json, sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

folder, hidden = sys.argv[1], set(json.loads(sys.argv[2]))
sys.path.insert(0, folder)
sys.meta_path.insert(0, Hidden())
import unit, unit.finder
from importlib.metadata import entry_points

assert unit.__file__.startswith(folder), unit.__file__
assert unit.finder.WEIGHTS.is_file(), unit.finder.WEIGHTS
(command,) = entry_points(group="console_scripts", name="unit")
for line in ("--help", "info", "benchmark", "benchmark --app", "space owner/page --dry-run new"):
    sys.argv = ["unit", *line.split()]
    try:
        status = command.load()()
    except SystemExit as stop:
        status = stop.code
    print(f"{line}: {status}", flush=True)

hidden.clear()
from unit.demo import page
assert page.__file__.startswith(folder) and page.CSS
"""


@pytest.mark.slow
def test_it_works_in_an_empty_folder(installed: Path, distribution: Distribution, tmp_path: Path) -> None:
    """The library, the command line, and with the packages that only extras ask for the page, too."""
    extras = {requirement.name for _, requirement in requirements(distribution, every_extra(distribution))}
    extras -= {requirement.name for _, requirement in requirements(distribution, set())}
    hidden = [name for name, owners in packages_distributions().items() if {*map(canonicalize_name, owners)} <= extras]
    assert {"gradio", "torchvision", "cv2"} <= {*hidden}
    done = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, installed, json.dumps(hidden)], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^(.+): (\d)$", done.stdout, re.MULTILINE) == [
        ("--help", "0"), ("info", "2"), ("benchmark", "2"), ("benchmark --app", "2"),
        ("space owner/page --dry-run new", "1"),
    ]  # fmt: skip
    for command in ("translate", "sample", "interpolate", "info", "benchmark", "space"):
        assert re.search(rf"^\W+{command}\b", done.stdout, re.MULTILINE)
    no_model, none_either, no_app, no_app_either = done.stderr.splitlines()
    assert "--model" in no_model
    assert "--model" in none_either
    for sentence in (no_app, no_app_either):
        assert re.fullmatch(r"[tT]here is no app\.py in .*: run this in a checkout of this program\.", sentence)
    assert not list(tmp_path.iterdir())


# ---- what it needs, and what is pinned -------------------------------------------------------------------------------


def every_extra(distribution: Distribution) -> set[str]:
    return set(distribution.metadata.get_all("Provides-Extra") or ())


def requirements(distribution: Distribution, extras: set[str]) -> list[tuple[str, Requirement]]:
    """What the package asks for, with these extras. An extra may ask for others of the package itself."""
    found = []
    for line in distribution.requires or ():
        requirement = Requirement(line)
        requirement.name = canonicalize_name(requirement.name)
        if requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in {"", *extras}):
            continue
        if requirement.name == canonicalize_name(distribution.name):
            found += requirements(distribution, requirement.extras)
        else:
            found.append((line, requirement))
    return found


def pins(paths: Iterable[str]) -> dict[str, list[str]]:
    """Every version that these files pin, by the package's name. Some have one for old Pythons."""
    found: dict[str, list[str]] = {}
    for path in paths:
        for line in (ROOT / path).read_text(encoding="utf-8").splitlines():
            if text := line.partition("#")[0].strip():
                pin = Requirement(text)
                (only,) = pin.specifier
                assert only.operator == "==", f"{path}: {line}"
                found.setdefault(canonicalize_name(pin.name), []).append(only.version)
    return found


@pytest.mark.parametrize(
    ("extras", "paths"),
    [((), PINS[:1]), (("demo",), PINS[:1]), (("train",), PINS[:2]), (("dev",), PINS)],
    ids=["library", "demo", "train", "dev"],
)
def test_what_it_asks_for_is_what_was_tested(
    distribution: Distribution, extras: tuple[str, ...], paths: tuple[str, ...]
) -> None:
    pinned = pins(paths)
    asked = requirements(distribution, {*extras})
    assert asked
    for line, requirement in asked:
        assert requirement.name in pinned, f"{line}: pinned in none of {', '.join(paths)}"
        for version in pinned[requirement.name]:
            assert version in requirement.specifier, f"{line}: {version} is pinned"


def test_everything_pinned_is_asked_for(distribution: Distribution) -> None:
    asked = {requirement.name for _, requirement in requirements(distribution, every_extra(distribution))}
    assert {*pins(PINS)} == asked
    page = {requirement.name for _, requirement in requirements(distribution, {"demo"})}
    assert {*pins(PINS[:1])} - page == {"torchvision"}  # beside torch, for the trainer: of one build with it


def test_other_files_name_the_same_versions(distribution: Distribution) -> None:
    (ruff,) = pins(PINS)["ruff"]
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"ruff-pre-commit\n\s+rev: v(\S+)", hooks) == [ruff]
    pythons = [line.rpartition(" ")[2] for line in distribution.metadata.get_all("Classifier") or () if ":: 3." in line]
    workflow = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    assert json.loads(re.findall(r"python: (\[.*\])", workflow)[0]) == pythons
    assert distribution.metadata["Requires-Python"] == f">={pythons[0]}"
