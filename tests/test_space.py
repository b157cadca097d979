"""Spaces and containers: the real client of the Hub against hub_server, and what is uploaded is run."""

import fnmatch
import importlib
import importlib.metadata
import inspect
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml
from hub_server import COLOURS, SEED, Clients, Done, Hub, Repo

from unit.__main__ import main
from unit.demo import zerogpu as zero
from unit.demo.space import CPU_WHEELS, PYTHON, space_files, write

pytest_plugins = ["hub_server"]
ROOT = Path(__file__).parent.parent
KEYS = {  # https://huggingface.co/docs/hub/spaces-config-reference
    "title", "emoji", "colorFrom", "colorTo", "sdk", "python_version", "sdk_version", "suggested_hardware",
    "suggested_storage", "app_file", "app_port", "base_path", "fullWidth", "header", "short_description", "models",
    "datasets", "tags", "license", "thumbnail", "pinned", "hf_oauth", "hf_oauth_scopes", "hf_oauth_expiration_minutes",
    "disable_embedding", "startup_duration_timeout", "custom_headers", "preload_from_hub",
}  # fmt: skip


@pytest.fixture
def checkout(tmp_path: Path, tiny_checkpoint: Path) -> Path:
    """A checkout with a small model, and more in it than belongs in a Space."""
    folder = tmp_path / "checkout"
    shutil.copytree(ROOT / "unit", folder / "unit")  # with its __pycache__
    for name in ("app.py", "LICENSE", "requirements.txt", "README.md"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(tiny_checkpoint, folder / "checkpoints" / "seasons")
    (folder / "checkpoints" / "seasons" / "notes.txt").write_text("not for the Hub")
    (folder / "runs").mkdir()
    (folder / "runs" / "secret.txt").write_text("not for the Hub")
    return folder


Run = Callable[..., Done]


@pytest.fixture
def run(hub: Hub, clients: Clients, checkout: Path) -> Run:
    """`python -m unit space ...` in the checkout; settings go to its environment."""

    def space(*arguments: str, HF_TOKEN: str = "hf_owner", **settings: str) -> Done:
        return run_all([(HF_TOKEN, list(arguments))], hub, clients, checkout, **settings)

    return space


def run_all(jobs: list[tuple[str, list[str]]], hub: Hub, clients: Clients, checkout: Path, **settings: str) -> Done:
    """One after the other, each with a token of its own. The status is that of the last."""
    program = f"""
import os, sys
from unit import hub
from unit.demo import space
from unit.__main__ import main
hub.WAITS = (0.01,) * 5
os.chdir("checkout")
for os.environ["HF_TOKEN"], arguments in {jobs}:
    status = main(["space", *arguments])
sys.exit(status)
"""
    return clients.run(program, hub, checkout.parent, **settings)


def front_matter(readme: bytes) -> dict[str, Any]:
    _, front, _ = readme.decode().split("---\n", 2)
    return yaml.safe_load(front)


# ---- what is uploaded ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("models", [[], ["owner/one", "my-group/two.b"]])
@pytest.mark.parametrize("hardware", ["cpu-basic", "zero-a10g", "t4-small"])
def test_the_front_matter_is_what_the_hub_takes(hardware: str, models: list[str]) -> None:
    files = space_files(models, hardware=hardware)
    facts = front_matter(files["README.md"])
    assert facts.keys() <= KEYS
    assert {facts["colorFrom"], facts["colorTo"]} <= COLOURS
    assert facts["sdk"] == "gradio"
    assert facts["sdk_version"] == importlib.metadata.version("gradio")
    assert isinstance(facts["python_version"], str)
    assert facts["python_version"] == (PYTHON if hardware != "zero-a10g" else "3.12.12")
    assert re.search(rb'^sdk_version: "', files["README.md"], re.MULTILINE)
    assert facts["app_file"] in files
    assert facts["app_file"] == ("start.py" if models else "app.py")
    assert facts["suggested_hardware"] == hardware
    assert 0 < len(facts["short_description"]) <= 60
    assert facts["license"] == "mit"
    assert b"MIT License" in files["LICENSE"]
    assert facts.get("models", []) == models
    assert facts.get("preload_from_hub", []) == [f"{model} config.json,model.safetensors" for model in models]
    assert any(path.startswith("checkpoints/") for path in files) == (not models)


@pytest.mark.parametrize(("hardware", "small"), [("cpu-basic", True), ("cpu-upgrade", True), ("zero-a10g", False)])
def test_only_cpus_get_the_cpu_wheels(hardware: str, small: bool) -> None:
    lines = space_files(hardware=hardware)["requirements.txt"].decode().splitlines()
    assert (CPU_WHEELS in lines) == small
    assert [line for line in lines if line != CPU_WHEELS] == (ROOT / "requirements.txt").read_text().splitlines()


def test_what_is_uploaded_is_the_program_and_nothing_else(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)
    files = space_files()
    parts = (path for path in (ROOT / "unit").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    modules = {path.relative_to(ROOT).as_posix() for path in parts}
    weights = {f"checkpoints/seasons/{name}" for name in ("config.json", "model.safetensors")}
    assert files.keys() == {"app.py", "LICENSE", "README.md", "requirements.txt"} | modules | weights
    assert files["unit/models/unit.py"] == (ROOT / "unit/models/unit.py").read_bytes()


@pytest.mark.slow
def test_the_dry_run_can_be_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a Space starts it, and from nowhere near this checkout."""
    folder = tmp_path / "space"
    assert main(["space", "owner/page", "--dry-run", str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder}\n"
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "UNIT_MODELS")}
    settings = {"GRADIO_SERVER_PORT": str(port), "GRADIO_TEMP_DIR": str(tmp_path / "files"), "HF_HUB_OFFLINE": "1"}
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, front_matter((folder / "README.md").read_bytes())["app_file"]],
            cwd=folder, env=kept | settings, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        give_up, config = time.monotonic() + 120, None
        while config is None and time.monotonic() < give_up and server.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/config", timeout=5) as answer:
                    config = json.load(answer)
            except OSError:
                time.sleep(0.2)
        assert config is not None, (tmp_path / "log").read_text()
        assert "summer" in json.dumps(config)
    finally:
        server.terminate()
        server.wait(20)

    assert main(["space", "owner/page", "--dry-run", str(folder)]) == 1
    assert capsys.readouterr().err == f"{folder} is there already, and not empty: name a new folder.\n"


def test_models_of_the_hub_are_told_to_the_page(tmp_path: Path) -> None:
    write(tmp_path / "space", ["owner/one", "owner/two"])
    (tmp_path / "space" / "app.py").write_text("import os\ndef main():\n    print(os.environ['UNIT_MODELS'])\n")
    for told in ({}, {"UNIT_MODELS": "owner/three"}):  # a variable of the Space wins
        environment = {name: value for name, value in os.environ.items() if name != "UNIT_MODELS"} | told
        done = subprocess.run([sys.executable, tmp_path / "space" / "start.py"], env=environment, capture_output=True)
        assert done.stdout.decode().strip() == told.get("UNIT_MODELS", "owner/one,owner/two")


# ---- uploading it ----------------------------------------------------------------------------------------------------


def test_a_space_is_made_and_updated_one_commit_each(hub: Hub, run: Run, checkout: Path) -> None:
    made = run("owner/page")
    assert (made.status, made.stdout, made.stderr) == (0, f"{hub.url}/spaces/owner/page\n", "")
    repo = hub.repos["spaces/owner/page"]
    assert repo.messages == ["initial commit", "a template", "The page, with seasons"]
    assert not repo.private
    assert repo.hardware == "cpu-basic"
    assert front_matter(repo.files["README.md"])["title"] == "UNIT in the browser"  # not what the Hub had put there
    assert repo.files.keys() >= {
        ".gitattributes",
        "app.py",
        "unit/models/unit.py",
        "checkpoints/seasons/model.safetensors",
    }

    assert run("owner/page").stdout == made.stdout
    assert len(repo.messages) == 3  # for nothing had changed

    looks = (
        repo.files["README.md"]
        .replace(b"UNIT in the browser", b"Seasons")
        .replace(b"---\n\n", b"pinned: true\n---\n\n")
    )
    repo.commit("main", repo.files | {"README.md": looks, "packages.txt": b"cowsay", "docs/mine.md": b"mine"}, "mine")
    (checkout / "app.py").write_text("# another\n")
    (checkout / "unit/demo/model_info.py").unlink()
    (checkout / "unit" / "new.py").write_text("")
    (checkout / "requirements.txt").write_text("gradio==6.32.0\ntorch==2.15.0\n")
    shutil.copytree(checkout / "checkpoints" / "seasons", checkout / "checkpoints" / "zoo")
    shutil.rmtree(checkout / "checkpoints" / "seasons")
    before = repo.files
    updated = run("owner/page")
    kept = "Kept, since they are not of this program: docs/mine.md, packages.txt."
    assert updated.stdout.splitlines() == [f"{hub.url}/spaces/owner/page", kept], updated.stderr
    assert repo.messages[3:] == ["mine", "The page, with zoo"]
    weights = {f"checkpoints/seasons/{name}" for name in ("config.json", "model.safetensors")}
    assert before.keys() - repo.files.keys() == {"unit/demo/model_info.py"} | weights
    assert repo.files.keys() - before.keys() == {"unit/new.py"} | {name.replace("seasons", "zoo") for name in weights}
    assert repo.files["app.py"] == b"# another\n"
    facts = front_matter(repo.files["README.md"])
    assert (facts["title"], facts["pinned"], facts["sdk_version"]) == ("Seasons", True, "6.32.0")
    assert repo.files["README.md"].endswith(looks.split(b"---\n", 2)[2])


def test_a_private_space_stays_private(hub: Hub, run: Run) -> None:
    assert run("owner/secret", "--private").status == 0
    assert run("owner/secret").status == 0
    assert hub.repos["spaces/owner/secret"].private
    assert run("owner/public").status == 0
    refused = run("owner/public", "--private")
    assert refused.status == 1
    assert refused.stderr.startswith("owner/public is there already and is public: make it private on its page, or ")


def test_hardware_is_asked_for_and_decides_which_torch(hub: Hub, run: Run) -> None:
    assert run("free/page", "--hardware", "zero-a10g", HF_TOKEN="hf_free").status == 0
    repo = hub.repos["spaces/free/page"]
    assert repo.hardware == "zero-a10g"
    assert run("free/page", HF_TOKEN="hf_free").status == 0  # nothing is said of hardware, so it stays
    assert repo.messages[2:] == ["The page, with seasons"]
    assert repo.hardware == "zero-a10g"
    assert CPU_WHEELS.encode() not in repo.files["requirements.txt"]
    assert run("free/page", "--hardware", "cpu-upgrade", HF_TOKEN="hf_free").status == 0
    assert repo.hardware == "cpu-upgrade"
    assert len(repo.messages) == 4
    assert CPU_WHEELS.encode() in repo.files["requirements.txt"]


def test_models_of_the_hub_come_from_the_hub(hub: Hub, run: Run, tiny_checkpoint: Path) -> None:
    weights = {path.name: path.read_bytes() for path in tiny_checkpoint.iterdir()}
    for name, repo in {
        "owner/open": Repo(),
        "owner/closed": Repo(private=True),
        "guest/gated": Repo(gated=True),
    }.items():
        repo.commit("main", weights, "weights")
        hub.repos[name] = repo
    done = run("owner/page", "--models", "owner/open, owner/closed,guest/gated")
    assert done.stdout.splitlines() == [
        f"{hub.url}/spaces/owner/page",
        "owner/closed is not open to all: give the Space a secret HF_TOKEN that may read it.",
        "guest/gated is not open to all: give the Space a secret HF_TOKEN that may read it.",
    ], done.stderr
    repo = hub.repos["spaces/owner/page"]
    facts = front_matter(repo.files["README.md"])
    assert facts["models"] == ["owner/open", "owner/closed", "guest/gated"]
    assert facts["preload_from_hub"] == ["owner/open config.json,model.safetensors"]
    assert b'"owner/open,owner/closed,guest/gated"' in repo.files["start.py"]
    assert not any(path.startswith("checkpoints/") for path in repo.files)

    assert run("owner/page").status == 0
    assert "start.py" not in repo.files
    assert "checkpoints/seasons/config.json" in repo.files
    facts = front_matter(repo.files["README.md"])
    assert facts["app_file"] == "app.py"
    assert not {"models", "preload_from_hub"} & facts.keys()


def test_what_cannot_succeed_is_told_in_one_sentence(hub: Hub, run: Run, clients: Clients, checkout: Path) -> None:
    hub.repos["owner/empty"] = Repo()
    hub.repos["spaces/owner/other"] = Repo()
    hub.repos["spaces/owner/other"].commit("main", SEED | {"app.py": b"print()"}, "another program")
    hub.repos["spaces/owner/static"] = Repo()
    hub.repos["spaces/owner/static"].commit("main", SEED | {"index.html": b"<h1>Mine</h1>"}, "pages without a program")
    may_not = "this token may not write to {}: use your own name or organisation, and a token that may write."
    expired = "the Hugging Face Hub refuses the token: renew it (hf auth login), or set HF_TOKEN to another."
    unpaid = "free/page was not pushed: its owner's plan does not pay for this hardware. Without a plan, "
    other = "{} has another program, which would be lost: choose another name, or delete its files."
    no_model = (
        "There is no folder owner/away, and no such model on the Hugging Face Hub (if it is private, set HF_TOKEN"
    )
    cases: list[tuple[str, str, list[str]]] = [
        ("there is no token to push with: run hf auth login, or set HF_TOKEN.", "", ["owner/page"]),
        (expired, "hf_expired", ["owner/page"]),
        (may_not.format("guest/page"), "hf_owner", ["guest/page"]),
        (may_not.format("owner/other"), "hf_guest", ["owner/other"]),
        (may_not.format("owner/page"), "hf_reader", ["owner/page"]),
        (unpaid + "--hardware zero-a10g may be had (docs/hosting.md).", "hf_free", ["free/page"]),
        ("page is not the name of a repository: write owner/name.", "hf_owner", ["page"]),
        (other.format("owner/other"), "hf_owner", ["owner/other"]),
        (other.format("owner/static"), "hf_owner", ["owner/static"]),
        (no_model + " to a token that may read it).", "hf_owner", ["owner/page", "--models", "owner/away"]),
        ("owner/empty is not a checkpoint: it has no config.json.", "hf_owner", ["owner/a", "--models", "owner/empty"]),
    ]
    done = run_all([(token, arguments) for _, token, arguments in cases], hub, clients, checkout)
    assert (done.status, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [sentence for sentence, _, _ in cases]
    offline = run("owner/page", HF_HUB_OFFLINE="1")
    assert (offline.status, offline.stderr) == (1, "owner/page was not pushed: HF_HUB_OFFLINE is set.\n")
    alone = run("owner/page", HF_ENDPOINT="http://127.0.0.1:9")  # nothing listens there
    no_answer = "owner/page was not pushed: the Hugging Face Hub does not answer as it should. Try again later.\n"
    assert (alone.status, alone.stderr) == (1, no_answer)

    weights = checkout / "checkpoints" / "seasons" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:200])
    damaged = "model.safetensors of seasons is damaged, cut short or not a safetensors file: fetch it again.\n"
    assert run("owner/page").stderr == damaged
    shutil.rmtree(checkout / "checkpoints")
    none = "There is no model in checkpoints/: export one to there, or name models of the Hub (--models).\n"
    assert run("owner/page").stderr == none
    assert hub.repos.keys() == {"owner/empty", "spaces/owner/other", "spaces/owner/static"}
    assert len(hub.repos["spaces/owner/other"].messages) == 2


def test_a_hub_in_trouble_is_asked_again(hub: Hub, run: Run) -> None:
    hub.trouble = {"commit": iter([503, 429]), "create": iter([500]), "info": iter([502])}
    assert run("owner/page").status == 0
    assert hub.repos["spaces/owner/page"].messages[2:] == ["The page, with seasons"]


def test_names_of_models_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["space", "owner/page", "--models", 'owner/one,"evil', "--dry-run", "x"]) == 2
    assert '"evil is not the name of a model of the Hub: write owner/name' in capsys.readouterr().err


# ---- ZeroGPU ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def zero_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """unit.demo.zerogpu as it is on ZeroGPU, where `spaces` makes functions that tell what they were made of."""

    def GPU(function: Callable[..., Any], *, duration: int) -> Any:
        return SimpleNamespace(function=function, duration=duration)

    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=GPU))
    yield importlib.reload(zero)
    monkeypatch.undo()
    importlib.reload(zero)


def frames(count: int) -> Iterator[int]:
    yield from range(count)


def test_on_zerogpu_functions_are_given_to_spaces(zero_gpu: ModuleType) -> None:
    assert zero_gpu.ON
    made = zero_gpu.gpu(frames)
    assert made.function is frames
    assert inspect.isgeneratorfunction(made.function)  # by which `spaces` tells that it should hand on each frame
    assert made.duration == 30
    assert zero_gpu.gpu(len, 5).duration == 5


def test_elsewhere_functions_stay_what_they_are(monkeypatch: pytest.MonkeyPatch, zero_gpu: ModuleType) -> None:
    for asked in ("", "0", "false", None):  # `spaces` is there, and this is no ZeroGPU
        monkeypatch.setenv("SPACES_ZERO_GPU", asked) if asked is not None else monkeypatch.delenv("SPACES_ZERO_GPU")
        assert importlib.reload(zero_gpu).gpu(frames) is frames
        assert not zero_gpu.ON
    monkeypatch.setenv("SPACES_ZERO_GPU", "1")
    monkeypatch.setitem(sys.modules, "spaces", None)  # it cannot be imported
    assert importlib.reload(zero_gpu).gpu(frames) is frames


def test_spaces_is_imported_before_torch(tmp_path: Path) -> None:
    (tmp_path / "spaces.py").write_text("import sys\nsys.exit('torch' in sys.modules)\n")
    settings = {"SPACES_ZERO_GPU": "1", "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    assert subprocess.run([sys.executable, "-c", "import app"], env=os.environ | settings).returncode == 0


# ---- Docker ----------------------------------------------------------------------------------------------------------


def docker_instructions() -> list[list[str]]:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    return [shlex.split(line) for line in text.splitlines() if line and not line.startswith("#")]


def is_ignored(path: str) -> bool:
    """As .dockerignore has it: the last pattern that fits decides, and what fits a folder fits what is in it."""
    ignored, parts = False, path.split("/")
    parents = ["/".join(parts[: i + 1]) for i in range(len(parts))]
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line and not line.startswith("#"):
            names = [parent.split("/")[-1] for parent in parents] if line.startswith("**/") else parents[:1]
            if any(fnmatch.fnmatch(name, line.lstrip("!").removeprefix("**/")) for name in names):
                ignored = not line.startswith("!")
    return ignored


def test_the_container_has_what_a_space_has() -> None:
    """There is no Docker to build it with in these tests: it is read, not run."""
    copied = [source for name, *words in docker_instructions() if name == "COPY" for source in words[:-1]]
    assert all((ROOT / source).exists() for source in copied)
    for path in space_files().keys() - {"README.md"}:
        assert any(path == source or path.startswith(f"{source}/") for source in copied), path
        assert not is_ignored(path), path
    for path in ("README.md", ".git/config", "runs/mine/config.json", "train/loop.py", "unit/__pycache__/unit.pyc",
                 ".venv/bin/python", "checkpoints/.secret"):  # fmt: skip
        assert is_ignored(path), path


def test_the_container_serves_everybody_as_nobody_in_particular() -> None:
    lines = [" ".join(words) for words in docker_instructions()]
    assert lines[0] == f"FROM python:{PYTHON}-slim"
    assert any(f"{CPU_WHEELS} -r requirements.txt" in line for line in lines if line.startswith("RUN pip install"))
    user, last = lines.index("USER unit"), max(i for i, line in enumerate(lines) if line.startswith(("RUN", "COPY")))
    assert user > last
    assert any("GRADIO_SERVER_NAME=0.0.0.0" in line and "GRADIO_SERVER_PORT=7860" in line for line in lines)
    assert any(line.startswith("HEALTHCHECK") and "urllib" in line and ":7860/config" in line for line in lines)
    assert lines[-1] == "CMD [python, app.py]"
