"""Checkpoints: what is saved comes back, and what is wrong is refused in one sentence."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from unit import UNIT, UNITConfig, load_pretrained, save_pretrained
from unit.hub import CheckpointError

TINY = UNITConfig(dim=4, n_res=1, n_res_shared=2, domain_a="dog", domain_b="cat", channels_b=1, image_size=64)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def broken(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of a good checkpoint, to be broken."""
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "seasons"))


def refused(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_pretrained(folder)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("layout", ["paper", "master2018", "compact"])
def test_what_is_saved_comes_back(layout: Any, tmp_path: Path) -> None:
    model = UNIT(replace(TINY, layout=layout))
    save_pretrained(model, tmp_path / "new" / "folder", dtype=torch.float32, card="# Dogs\n")
    loaded = load_pretrained(tmp_path / "new" / "folder")
    assert loaded.config == model.config
    for key, w in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], w), key
    x = torch.rand(1, 3, 16, 16)
    assert torch.equal(loaded.translate(x, "a", "b"), model.translate(x, "a", "b"))
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())
    assert sorted(p.name for p in (tmp_path / "new" / "folder").iterdir()) == [
        "README.md", "config.json", "model.safetensors",
    ]  # fmt: skip


def test_half_precision_is_the_default_and_loads_as_float32(tmp_path: Path) -> None:
    model = UNIT(TINY)
    save_pretrained(model, tmp_path)
    assert {w.dtype for w in load_file(tmp_path / "model.safetensors").values()} == {torch.float16}
    for key, w in load_pretrained(str(tmp_path)).state_dict().items():
        assert torch.equal(w, model.state_dict()[key].half().float()), key
    assert json.loads((tmp_path / "config.json").read_text()) == asdict(TINY)


def test_shared_weights_are_stored_once(tmp_path: Path) -> None:
    model = UNIT(TINY)
    save_pretrained(model, tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    assert sum(w.numel() for w in stored.values()) == sum(p.numel() for p in model.parameters())
    blocks = {key.split(".")[1] for key in stored if key.startswith("encoder_shared.")}
    assert blocks == {"0", "1"}  # n_res_shared of them, and no second copy for domain b


def test_the_loaded_network_does_not_hang_on_the_file(broken: Path) -> None:
    model = load_pretrained(broken)
    before = {key: w.clone() for key, w in model.state_dict().items()}
    with (broken / "model.safetensors").open("r+b") as file:
        file.write(b"\0" * 5000)
    assert all(torch.equal(w, before[key]) for key, w in model.state_dict().items())


def test_a_failed_save_leaves_what_was_there(broken: Path) -> None:
    before = {p.name: p.read_bytes() for p in broken.iterdir()}
    model = load_pretrained(broken)
    with torch.no_grad():
        next(model.decoder_b.parameters()).fill_(1e6)  # not a number in float16
    with pytest.raises(CheckpointError, match=r"decoder_b\.0\..* not finite numbers in torch.float16"):
        save_pretrained(model, broken, card="new")
    assert {p.name: p.read_bytes() for p in broken.iterdir()} == before


def test_a_disk_that_fails_leaves_no_temporary_file(
    broken: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        save_pretrained(load_pretrained(tiny_checkpoint), broken)
    assert sorted(p.name for p in broken.iterdir()) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dimm": 4}, "config.json of seasons has an unknown field 'dimm'"),
        ({"dim": "4"}, "dim is '4', and must be a whole number"),
        ({"dim": 4.0}, "dim is '4.0', and must be a whole number"),
        ({"n_res": True}, "n_res is 'True', and must be a whole number"),
        ({"n_res": 10**9}, "n_res is '1000000000', and must be from 0 to 64"),
        ({"dim": 0}, "dim is '0', and must be from 1 to 1024"),
        ({"channels_a": 2}, "channels_a is '2', and must be 1 or 3"),
        ({"layout": "huge"}, "layout is 'huge', and must be one of paper, master2018, compact"),
        ({"layout": ["paper"]}, "and must be one of paper"),
        ({"domain_a": None}, "domain_a is 'None', and must be a text"),
        ({"domain_a": "../../summer"}, "domain_a is '../../summer', and must be a short name"),
        ({"domain_a": "winter"}, "gives both domains the name winter"),
        ({"model": "munit"}, 'does not say "model": "unit"'),
        ({"format": 2}, "has format 2, newer than 1: update this program"),
        ({"format": "1"}, "format is '1', and must be a whole number"),
    ],
)
def test_wrong_configurations_are_refused(change: dict[str, Any], message: str, broken: Path) -> None:
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps({**config, **change}))
    assert message in refused(broken)


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", "\xff", "[" * 99999])
def test_configurations_that_are_none_are_refused(text: str, broken: Path) -> None:
    (broken / "config.json").write_bytes(text.encode("latin-1"))
    assert refused(broken).startswith("config.json of seasons is not ")


def test_a_field_younger_than_the_file_takes_its_default(broken: Path) -> None:
    config = json.loads((broken / "config.json").read_text())
    del config["image_size"]
    (broken / "config.json").write_text(json.dumps(config))
    assert load_pretrained(broken).config.image_size == UNITConfig.image_size


def test_weights_that_cannot_be_read_are_refused(broken: Path) -> None:
    weights = broken / "model.safetensors"
    good = weights.read_bytes()
    for bad in (b"", good[:7], good[:200], good[:-1], b"\x80\x04pickle" * 99, good[:8] + b"x" + good[9:]):
        weights.write_bytes(bad)
        assert "damaged, cut short or not a safetensors file" in refused(broken)
    weights.unlink()
    assert refused(broken) == "seasons has no model.safetensors."


def test_weights_of_another_network_are_refused(broken: Path) -> None:
    weights = broken / "model.safetensors"
    good = load_file(weights)
    key = "encoder_shared.0.conv1.weight"

    save_file({k: w for k, w in good.items() if k != key}, weights)
    assert f"{key} is missing" in refused(broken)
    save_file({**good, "style.weight": torch.zeros(2)}, weights)
    assert "style.weight is not part of the network" in refused(broken)
    save_file({**good, key: torch.zeros(16, 16, 1, 3)}, weights)
    assert f"{key} should have shape (16, 16, 3, 3), and has (16, 16, 1, 3)" in refused(broken)
    save_file({**good, key: torch.full((16, 16, 3, 3), float("nan"))}, weights)
    assert f"{key} has values that are not finite" in refused(broken)
    save_file({**good, key: torch.zeros(16, 16, 3, 3, dtype=torch.int8)}, weights)
    assert f"{key} is stored as torch.int8" in refused(broken)


def test_folders_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(tmp_path).endswith("is not a checkpoint: it has no config.json.")
    assert refused(tmp_path / "away").endswith("away.")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    for source in ("summer", "checkpoints/summer", "a/b/c", "", "../x", "https://example.com/x"):
        with pytest.raises(CheckpointError, match=r"There is no folder|not a checkpoint"):
            load_pretrained(source)  # and the Hub is not asked
    with pytest.raises(CheckpointError, match="has no revisions"):
        load_pretrained(tmp_path, revision="v1")


# ---- the Hub: the real client, in a process of its own, against a small server -------------------------------------


@pytest.fixture
def hub(tiny_checkpoint: Path) -> Iterator[tuple[str, list[str]]]:
    """An address that answers like the Hub for owner/seasons (main and v1), and the files it was asked for."""
    files = {p.name: p.read_bytes() for p in tiny_checkpoint.iterdir()} | {"secret.bin": b"not for us"}
    served: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            parts = self.path.split("?")[0].strip("/").split("/")
            if "owner/odd" in self.path:
                self.reply(418, b"")
            elif "owner/gated" in self.path:
                self.reply(403, b"", {"X-Error-Code": "GatedRepo", "X-Error-Message": "gated"})
            elif "owner/seasons" not in self.path:
                self.reply(404, b"", {"X-Error-Code": "RepoNotFound"})
            elif not {"main", "v1", COMMIT} & set(parts):
                self.reply(404, b"", {"X-Error-Code": "RevisionNotFound"})
            elif "tree" in parts:
                tree = [{"type": "file", "path": n, "size": len(b), "oid": "0" * 40} for n, b in files.items()]
                self.reply(200, json.dumps(tree).encode())
            elif parts[0] == "api":
                siblings = [{"rfilename": name} for name in files]
                self.reply(200, json.dumps({"id": "owner/seasons", "sha": COMMIT, "siblings": siblings}).encode())
            elif parts[-1] in files:
                served.append(parts[-1])
                self.reply(200, files[parts[-1]], {"ETag": '"' + parts[-1] + '"', "X-Repo-Commit": COMMIT})
            else:
                self.reply(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})

        do_GET = do_HEAD = answer

        def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", served
    server.shutdown()
    server.server_close()


def load_in_new_process(cases: list[tuple[str, str | None]], folder: Path, **environment: str) -> list[str]:
    """Load each (source, revision) as a user without a token would; what came of it, one line each."""
    program = (
        "import json, sys, unit\n"
        "for source, revision in json.loads(sys.argv[1]):\n"
        "    try:\n"
        "        print(unit.load_pretrained(source, revision=revision).config.domain_a)\n"
        "    except ValueError as error:\n"
        "        print(type(error).__name__, error)\n"
    )
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    settings = {"HF_HOME": str(folder), "HF_HUB_DISABLE_XET": "1", "PYTHONPATH": str(Path(__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(cases)],
        cwd=folder, env={**kept, **settings, **environment}, capture_output=True, text=True, timeout=100, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


def test_models_of_the_hub(hub: tuple[str, list[str]], tmp_path: Path) -> None:
    address, served = hub
    unreachable = " could not be had from the Hugging Face Hub: check its name and the network."
    cases = [
        ("owner/seasons", None), ("owner/seasons", "v1"), ("owner/seasons", "v2"),
        ("owner/away", None), ("owner/gated", None), ("owner/odd", None), ("owner/bad--name", None),
    ]  # fmt: skip
    assert load_in_new_process(cases, tmp_path, HF_ENDPOINT=address) == [
        "summer",
        "summer",
        "CheckpointError owner/seasons has no revision v2.",
        "CheckpointError There is no folder owner/away, and no such model on the Hugging Face Hub "
        "(if it is private, set HF_TOKEN).",
        "CheckpointError owner/gated asks you to accept its terms: do so on its page, then set HF_TOKEN.",
        "CheckpointError owner/odd" + unreachable,
        "CheckpointError owner/bad--name" + unreachable,
    ]
    assert set(served) == {"config.json", "model.safetensors"}

    offline = load_in_new_process([("owner/seasons", None), ("owner/new", None)], tmp_path, HF_HUB_OFFLINE="1")
    assert offline == [
        "summer",  # from the cache
        "CheckpointError owner/new" + unreachable,
    ]
