"""Checkpoints: what is saved comes back, and what is wrong is refused in one sentence."""

import json
import os
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from hub_server import Clients, Hub, Repo
from safetensors.torch import load_file, save_file

from unit import UNIT, UNITConfig, load_pretrained, save_pretrained
from unit.checkpoint import CheckpointError
from unit.hub import find_checkpoint, why_not_had
from unit.models import MODELS

pytest_plugins = ["hub_server"]
TINY = UNITConfig(dim=4, n_res=1, n_res_shared=2, domain_a="dog", domain_b="cat", channels_b=1, image_size=64)
UNKNOWN = "config.json of {} is of a model 'drit', and this program knows unit and munit: update it."


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
        ({"model": "drit"}, UNKNOWN.format("seasons")),
        ({"model": ["unit"]}, "is of a model"),
        ({"format": 3}, "has format 3, newer than 2: update this program"),
        ({"format": 0}, "format is '0', and must be from 1 to 2"),
        ({"format": True}, "format is 'True', and must be a whole number"),
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


@pytest.mark.parametrize("aligned", [True, False])
def test_format_1_called_aligned_whole(aligned: bool, broken: Path) -> None:
    config = json.loads((broken / "config.json").read_text())
    del config["aligned"]
    (broken / "config.json").write_text(json.dumps({**config, "format": 1, "whole": aligned}))
    loaded = load_pretrained(broken)
    assert loaded.config == UNITConfig(**config, aligned=aligned)
    save_pretrained(loaded, broken)
    assert json.loads((broken / "config.json").read_text()) == {**config, "format": 2, "aligned": aligned}
    (broken / "config.json").write_text(json.dumps({**config, "whole": aligned}))
    assert "has an unknown field 'whole'" in refused(broken)  # of format 2


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


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="names there are always text")
def test_a_folder_may_have_any_name_that_the_disk_allows(broken: Path) -> None:
    latin = broken.rename(os.fsdecode(os.fsencode(broken.parent) + b"/caf\xe9"))
    assert load_pretrained(latin).config.domains == load_pretrained(os.fsdecode(latin)).config.domains


@pytest.mark.parametrize("proxy", ["socks://127.0.0.1:9", "socks5://127.0.0.1:9"])
def test_a_proxy_that_cannot_be_used_is_named(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first is of no kind there is, as some desktops write it; the second needs a package more."""
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises((ValueError, ImportError)) as failure:
        httpx.Client()
    told = why_not_had(failure.value, "owner/name", None)
    assert told.startswith("owner/name cannot be fetched through the proxy of ALL_PROXY or HTTPS_PROXY: ")


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


@pytest.mark.parametrize("dim", [1024, 64])  # 466 and 1.8 GB
def test_a_configuration_asks_for_no_memory_that_the_weights_do_not_fill(
    dim: int, broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []
    monkeypatch.setitem(MODELS, "unit", (UNITConfig, lambda config: built.append(UNIT(config)) or built[0]))
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps(config | {"dim": dim, "n_res": 64, "n_res_shared": 64}))
    with pytest.raises(CheckpointError, match=r"does not fit its config\.json"):
        load_pretrained(broken)
    assert {weight.device.type for weight in built[0].parameters()} == {"meta"}


def test_a_wide_network_is_loaded_whole(tmp_path: Path) -> None:
    """It is built without memory of its own, so whatever is not in the file would be missing."""
    model = UNIT(UNITConfig(dim=65, n_res=0, n_res_shared=1))
    save_pretrained(model, tmp_path, dtype=torch.float32)
    loaded = load_pretrained(tmp_path)
    assert {t.device.type for t in (*loaded.parameters(), *loaded.buffers())} == {"cpu"}
    x = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(loaded.translate(x, "a", "b"), model.translate(x, "a", "b"))


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


# ---- the Hub: the real client, in a process of its own, against hub_server -----------------------------------------

NO_MODEL = (
    "There is no folder {}, and no such model on the Hugging Face Hub "
    "(if it is private, set HF_TOKEN to a token that may read it)."
)
NOT_WHOLE = "{} could not be fetched whole from the Hugging Face Hub: check network and disk, and try again."
DOWN = "{} is not in this machine's cache, and the Hugging Face Hub does not answer: try again later."
OFFLINE = "{} is not in this machine's cache, and HF_HUB_OFFLINE forbids to fetch it."


def load_all(cases: list[tuple[str, str | None]]) -> str:
    """A program that loads each (source, revision) as a user would, and prints what came of it, a line each."""
    return (
        "import unit\n"
        f"for source, revision in {cases}:\n"
        "    try:\n"
        "        print(unit.load_pretrained(source, revision=revision).config.domain_a)\n"
        "    except unit.checkpoint.CheckpointError as error:\n"
        "        print(error)\n"
    )


def test_models_of_the_hub(hub: Hub, clients: Clients, tiny_checkpoint: Path, tmp_path: Path) -> None:
    files = {p.name: p.read_bytes() for p in tiny_checkpoint.iterdir()} | {"secret.bin": b"not for us"}
    config = json.loads(files["config.json"])

    def filled(name: str, files: dict[str, bytes] = files, **behaviour: Any) -> Repo:
        repo = hub.repos[f"owner/{name}"] = Repo(**behaviour)
        repo.commit("main", files, "model")
        return repo

    def renamed(domain: str) -> dict[str, bytes]:
        return {**files, "config.json": json.dumps({**config, "domain_a": domain}).encode()}

    pinned = filled("seasons", renamed("spring"))
    pinned.refs["v1"] = spring = pinned.refs["main"]
    pinned.commit("main", files, "another model")
    filled("gated", gated=True)
    filled("private", private=True)
    filled("short", short=200)
    filled("bent", bent=1)
    filled("down", status=503)
    filled("drit", {**files, "config.json": json.dumps({**config, "model": "drit"}).encode()})
    filled("weights", {"model.safetensors": files["model.safetensors"]})
    filled("card", {"README.md": b"# A card"})
    filled("empty", {})
    outcomes = {
        ("owner/seasons", None): "summer",
        ("owner/seasons", "v1"): "spring",
        ("owner/seasons", spring): "spring",
        ("owner/seasons", "v2"): "owner/seasons has no revision v2.",
        ("owner/seasons", "0" * 40): "owner/seasons has no revision " + "0" * 40 + ".",
        ("owner/away", None): NO_MODEL.format("owner/away"),
        ("owner/private", None): NO_MODEL.format("owner/private"),
        ("owner/gated", None): "owner/gated asks you to accept its terms: do so on its page, then set HF_TOKEN.",
        ("owner/bad--name", None): "owner/bad--name is not a name that a repository of the Hugging Face Hub can have.",
        ("owner/short", None): NOT_WHOLE.format("owner/short"),
        ("owner/bent", None): "model.safetensors of owner/bent arrived damaged and was thrown away: try again.",
        ("owner/bent", "main"): "summer",
        ("owner/down", None): DOWN.format("owner/down"),
        ("owner/drit", None): UNKNOWN.format("drit"),
        ("owner/weights", None): "owner/weights is not a checkpoint: it has no config.json.",
        ("owner/card", None): "owner/card is not a checkpoint: it has no config.json.",
        ("owner/empty", None): "owner/empty is not a checkpoint: it has no config.json.",
    }
    done = clients.run(load_all(list(outcomes)), hub, tmp_path)
    assert done.status == 0, done.stderr
    assert dict(zip(outcomes, done.stdout.splitlines(), strict=True)) == outcomes
    assert not any("secret.bin" in line for line in hub.asked)

    cached = [("owner/seasons", None), ("owner/seasons", "v1"), ("owner/seasons", "v3"), ("owner/new", None)]
    asked = len(hub.asked)
    offline = clients.run(load_all(cached), hub, tmp_path, HF_HUB_OFFLINE="1")
    expected = ["summer", "spring", OFFLINE.format("owner/seasons (revision v3)"), OFFLINE.format("owner/new")]
    assert offline.stdout.splitlines() == expected
    assert len(hub.asked) == asked

    # Measures and examples are for a page. They lie where the network looks for its own files, and do not disturb it.
    filled("whole", {**files, "metrics.json": b"{}", "examples/a.jpg": b"a photo"})
    program = load_all([("owner/whole", None)]) + (
        "print(sorted(p.name for p in unit.hub.find_checkpoint('owner/whole').iterdir()))\n"
        "print(sorted(p.name for p in unit.hub.find_checkpoint('owner/whole', whole=True).rglob('*.*')))\n"
    )
    whole = clients.run(program + load_all([("owner/whole", None)]), hub, tmp_path)
    needed, more = ["config.json", "model.safetensors"], ["a.jpg", "metrics.json"]
    assert whole.stdout.splitlines() == ["summer", str(needed), str(sorted(needed + more)), "summer"], whole.stderr

    nobody = "http://127.0.0.1:9"  # nothing listens there
    alone = clients.run(load_all([cached[0], cached[3]]), hub, tmp_path, HF_ENDPOINT=nobody)
    assert alone.stdout.splitlines() == ["summer", DOWN.format("owner/new")]


@pytest.mark.parametrize(
    ("token", "outcome"),
    [
        ("hf_owner", "summer"),
        ("hf_guest", NO_MODEL.format("owner/private")),
        ("hf_expired", "The Hugging Face Hub refuses your token: renew it (hf auth login), or unset HF_TOKEN."),
    ],
)
def test_a_private_model_needs_a_token(
    token: str, outcome: str, hub: Hub, clients: Clients, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    hub.repos["owner/private"] = Repo(private=True)
    hub.repos["owner/private"].commit("main", {p.name: p.read_bytes() for p in tiny_checkpoint.iterdir()}, "model")
    done = clients.run(load_all([("owner/private", None)]), hub, tmp_path, HF_TOKEN=token)
    assert done.stdout.splitlines() == [outcome]


def test_a_model_may_be_named_by_a_file_of_it_or_by_its_address(tiny_checkpoint: Path, monkeypatch) -> None:
    for name in ("model.safetensors", "config.json"):
        assert find_checkpoint(tiny_checkpoint / name) == tiny_checkpoint
        assert find_checkpoint(str(tiny_checkpoint / name)) == tiny_checkpoint
    asked: list[str] = []
    monkeypatch.setattr("unit.hub._download", lambda repo, *_: asked.append(repo) or tiny_checkpoint)
    for address in ("https://huggingface.co/owner/name", "https://hf.co/owner/name/tree/main?x=1", "owner/name"):
        assert find_checkpoint(address) == tiny_checkpoint
    assert asked == ["owner/name"] * 3


def test_a_run_is_no_model_yet(tmp_path: Path) -> None:
    (tmp_path / "step-00000002.safetensors").touch()
    with pytest.raises(CheckpointError, match=r"is a training run: python -m train export \S+ checkpoints/NAME"):
        find_checkpoint(tmp_path)
