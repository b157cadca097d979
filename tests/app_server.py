"""The app, started once for all tests as a person would start it: `python app.py`.

test_app and the tests in a browser take it as a plugin, so that they share one server. (No assert here to rewrite:
PYTEST_DONT_REWRITE.)
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
MISSING_REPO = "nobody/nothing"


def write_photo(path: Path, size: tuple[int, int] = (123, 77)) -> Path:
    """A colourful gradient, so that no two places of it are alike."""
    ramp = Image.linear_gradient("L")
    bands = [ramp.resize(size), ramp.rotate(90).resize(size), Image.radial_gradient("L").resize(size)]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.merge("RGB", bands).save(path)
    return path


@pytest.fixture(scope="session")
def checkpoints(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models: summer and winter, with an example photo of each, and the same network as one of faces."""
    folder = tmp_path_factory.mktemp("checkpoints")
    shutil.copytree(tiny_checkpoint, folder / "seasons")
    shutil.copytree(tiny_checkpoint, folder / "zoo")
    config = json.loads((folder / "zoo" / "config.json").read_text())
    faces = {"domain_a": "cat", "domain_b": "dog", "aligned": True, "image_size": 32}
    (folder / "zoo" / "config.json").write_text(json.dumps({**config, **faces}))
    write_photo(folder / "seasons" / "examples" / "a-summer_meadow.jpg")
    write_photo(folder / "seasons" / "examples" / "winter-lake.jpg", (96, 96))
    (folder / "seasons" / "examples" / "README.md").write_text("Both photos: computed, public domain.\n")
    return folder


@pytest.fixture(scope="session")
def app_url(checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the running app. It was told to use a repository it cannot reach, so it uses `checkpoints`.

    Its environment names proxies, as desktops and companies do, of which one is of a kind that Gradio does not know.
    """
    proxies = {"ALL_PROXY": "socks://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    with serve(checkpoints, tmp_path_factory.mktemp("app"), UNIT_MODELS=MISSING_REPO, **proxies) as (url, _):
        yield url


@contextlib.contextmanager
def serve(checkpoints: Path, folder: Path, **settings: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """The address of an app of its own, and its process. What it says goes to `folder`/log."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    settings = {
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_TEMP_DIR": str(folder / "files"),
        "HF_HUB_OFFLINE": "1",
        **settings,
    }
    url = f"http://127.0.0.1:{port}"
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "app.py", "--checkpoints", str(checkpoints)],
            cwd=ROOT, env={**os.environ, **settings}, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        _wait_for(url, server, folder / "log")
        yield url, server
    finally:
        server.terminate()
        server.wait(20)


def _wait_for(url: str, server: subprocess.Popen, log: Path) -> None:
    give_up = time.monotonic() + 120
    while time.monotonic() < give_up and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/config", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the app did not start:\n{log.read_text()}")
