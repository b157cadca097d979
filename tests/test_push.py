"""Export, model card and pushes: the real client of the Hub, in processes of its own, against hub_server."""

import dataclasses
import json
import shlex
import time
from itertools import repeat
from pathlib import Path

import pytest
import torch
import tyro
from hub_server import Clients, Hub
from huggingface_hub import ModelCard
from PIL import Image

from tests.photos import seasons
from train.__main__ import main
from train.config import TrainConfig, UNITWeights, presets
from train.data.batches import held_out_photos
from train.data.source import redact_path
from train.publish.card import card, command, write_card
from train.publish.export import export, sample_grid, write_checkpoint
from train.publish.merge import marked, merged
from train.state import TrainState
from unit import UNIT, Translator, UNITConfig, load_pretrained
from unit.images import to_image

pytest_plugins = ["hub_server"]
TINY = UNITConfig(dim=4, n_res=1, image_size=64, domain_a="summer", domain_b="winter")
METRICS = {
    "checkpoint": "model", "data": "seasons", "date": "2026-11-24", "command": "python -m train evaluate model",
    "features": "EfficientNet-Lite2", "size": 64, "seed": 0, "hardware": "2 cores",
    "rows": [
        {"metric": "KID", "features": "EfficientNet-Lite2", "direction": "summer → winter", "of": of,
         "value": value, "low": value - 0.1, "high": None, "n": 2}
        for of, value in (("translated", 0.25), ("untranslated", 0.5), ("real", 0.125))
    ] + [
        {"metric": "reconstruction error (L1)", "features": None, "direction": "summer", "of": "reconstructed",
         "value": 0.0625, "low": 0.0, "high": 0.1, "n": 2},
        {"metric": "FID", "features": "EfficientNet-Lite2", "direction": "summer", "of": "translated",
         "value": None, "low": None, "high": None, "n": 2},
    ],
}  # fmt: skip
QUICK = "from unit import hub; hub.WAITS = (0.01,) * 5\n"  # tries as often as ever, but waits less


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seasons(tmp_path_factory.mktemp("seasons"))


@pytest.fixture
def config(data: Path, tmp_path: Path) -> TrainConfig:
    return TrainConfig.of(
        data=str(data), run_dir=tmp_path / "run", model=TINY, discriminator="multiscale", batch_size=2, steps=4,
        compile=False, workers=0, device="cpu", cache=False, save_every=100, sample_every=100,
    )  # fmt: skip


def metadata(config: TrainConfig, step: int = 3) -> dict[str, str]:
    return {"step": str(step), "seconds": "5400", "device": "CPU", "config": config.to_json()}


def network(seed: int = 0) -> UNIT:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return UNIT(TINY)


@pytest.fixture
def model(config: TrainConfig, tmp_path: Path) -> Path:
    """An exported folder, with more in it than belongs on the Hub."""
    folder = tmp_path / "model"
    write_checkpoint(folder, network(), metadata(config), held_out_photos(config, 2), license="cc-by-4.0")
    (folder / "examples").mkdir()
    (folder / "examples" / "a.jpg").write_bytes((folder / "samples.jpg").read_bytes())
    (folder / "secret.txt").write_text("not for the Hub")
    return folder


def run_push(*arguments: str) -> str:
    """A program that pushes as `python -m train push` does."""
    return f"import sys\nfrom train.publish.push import main\nsys.exit(main({list(arguments)}))"


# ---- export and card -------------------------------------------------------------------------------------------------


def test_exported_again_a_folder_keeps_what_is_still_true(config: TrainConfig, tmp_path: Path) -> None:
    state = TrainState.build(config.replace(discriminator="patch"))
    state.step = 3
    config.run_dir.mkdir()
    state.save()
    folder = export(config.run_dir, tmp_path / "mine", notes="## Thanks\n\nTo all.", license="cc-by-4.0")
    for key, w in load_pretrained(folder).state_dict().items():
        assert torch.equal(w, state.ema.state_dict()[key].half().float())
    (folder / "metrics.json").write_text(json.dumps(METRICS))

    again = {p.name: p.read_bytes() for p in export(config.run_dir, folder).iterdir()}
    text = again["README.md"].decode()
    assert text.endswith("## Thanks\n\nTo all.\n")
    assert ModelCard(text).data.license == "cc-by-4.0"
    assert ModelCard(text).data.eval_results[0].metric_value == 0.25
    assert str(tmp_path) not in text
    assert export(config.run_dir, folder, notes="").joinpath("README.md").read_text().count("Thanks") == 0
    assert {p.name: p.read_bytes() for p in export(config.run_dir, folder, "## Thanks\n\nTo all.").iterdir()} == again

    state.step = 4
    with torch.no_grad():
        next(state.ema.parameters()).add_(1)
    state.save()
    export(config.run_dir, folder)
    assert not (folder / "metrics.json").exists()  # of other weights
    assert json.loads((folder / "metrics.json.old").read_text()) == METRICS
    assert "Not measured yet" in (folder / "README.md").read_text()
    assert Image.open(folder / "samples.jpg").size == Image.open(folder / "samples.jpg.old").size


def test_the_grid_shows_held_out_photos_and_what_becomes_of_them(config: TrainConfig) -> None:
    model = network()
    x_a, x_b = held_out_photos(config, 2)
    grid = sample_grid(model, x_a, x_b)
    assert grid.size == (6 * 164 - 4, 2 * 164 + 20)
    translator = Translator(model, "cpu")
    a, b = translator.domains
    for row in range(2):
        photos = to_image(x_a[row]), to_image(x_b[row])
        cells = [photos[0], *translator.cycle(photos[0], a), photos[1], *translator.cycle(photos[1], b)]
        for i, expected in enumerate(cells):  # as the app would draw them
            cell = grid.crop((164 * i, 24 + 164 * row, 164 * i + 160, 184 + 164 * row))
            assert cell.tobytes() == expected.resize((160, 160), Image.Resampling.BICUBIC).tobytes()
        label = grid.crop((164 * i, 0, 164 * i + 160, 20))
        assert label.getextrema()[0][0] < 100  # something is written there


def test_names_in_letters_that_the_font_lacks_are_a_and_b_in_the_grid(config: TrainConfig) -> None:
    photos, model = held_out_photos(config, 1), network()
    grids = []
    for a, b in (("夏", "冬"), ("a", "b"), ("été", "hiver")):
        model.config = dataclasses.replace(TINY, domain_a=a, domain_b=b)
        grids.append(sample_grid(model, *photos))
    assert grids[0] == grids[1] != grids[2]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("", ""),
        ("hf:owner/name@main", "hf:owner/name@main"),
        ("owner/name", "owner/name"),
        ("/data/acme/photos", "photos"),
        ("clients/acme/photos", "photos"),
        ("photos", "photos"),
    ],
)
def test_where_a_folder_lies_is_not_told(source: str, told: str) -> None:
    assert redact_path(source) == told


def test_the_card_says_what_the_checkpoint_is(model: Path, config: TrainConfig) -> None:
    text = (model / "README.md").read_text()
    facts = ModelCard(text).data
    assert (facts.license, facts.pipeline_tag, facts.library_name) == ("cc-by-4.0", "image-to-image", "pytorch")
    assert facts.training == {"data": config.data.source.rsplit("/")[-1], "steps": 3, "photos_seen": 12, "hours": 1.5}
    for part in (
        "12 photos seen", "1.50 h on CPU", "![", "(samples.jpg)", "## Limits and bias", "Not measured yet",
        'Translator.from_pretrained("owner/name")', "python -m train compact --data", '"batch_size": 2',
    ):  # fmt: skip
        assert part in text
    assert "--init" not in text
    assert str(config.run_dir.parent) not in text

    training = json.loads((model / "training.json").read_text())
    unknown = card({**training, "license": "unknown"})
    assert ModelCard(unknown).data.license == "unknown"
    assert "Nobody has said on which terms" in unknown
    assert "samples.jpg" not in unknown
    of_hub = card({**training, "config": training["config"] | {"data": "hf:owner/seasons@v1"}})
    assert ModelCard(of_hub).data.datasets == ["owner/seasons"]
    assert "https://huggingface.co/datasets/owner/seasons)" in of_hub
    del training["config"]["schedule"], training["config"]["weights"]["identity"]  # as an older run has it
    training["config"]["run"] = "/home/somebody"
    assert "identity 0" in card(training)
    assert "somebody" not in card(training)


def test_measures_of_translations_are_in_the_model_index(model: Path) -> None:
    text = card(json.loads((model / "training.json").read_text()), METRICS)
    kid, error = ModelCard(text).data.eval_results
    assert kid.metric_name == "KID (EfficientNet-Lite2), summer → winter"
    assert (kid.metric_type, kid.metric_value, kid.metric_args) == ("kid", 0.25, {"low": 0.15, "n": 2})
    assert (kid.dataset_name, kid.dataset_split, kid.task_type) == ("seasons", "test", "image-to-image")
    assert (error.metric_name, error.metric_value) == ("reconstruction error (L1), summer", 0.0625)
    assert "Not measured yet" not in text
    assert "| 0.250 n=2 | 0.500 n=2 | 0.125 n=2 |" in text
    assert METRICS["command"] in text


# ---- a card that was edited on the Hub -------------------------------------------------------------------------------


def a_card(step: int, license: str = "cc-by-4.0", data: str = "photos") -> str:
    config = json.loads(TrainConfig.of(data=data, model=TINY).to_json())
    facts = {
        "step": step,
        "seconds": 60,
        "device": "CPU",
        "parameters": 1.0,
        "license": license,
        "notes": "",
        "config": config,
    }
    return card(facts, METRICS)


def test_a_card_that_nobody_has_edited_is_replaced() -> None:
    for new in (a_card(2), a_card(2, license="mit"), a_card(2, data="hf:owner/seasons"), a_card(1)):
        assert merged(new, marked(a_card(1))) == marked(new)
    assert merged(a_card(2), marked(a_card(1, data="hf:owner/seasons"))) == marked(a_card(2))


def test_what_was_edited_in_a_card_is_kept_through_several_pushes() -> None:
    edited = (
        marked(a_card(1))
        .replace("license: cc-by-4.0", "license: mit\nlanguage: de")
        .replace("- unpaired\n", "- mine\n")
    )
    edited = (
        edited.replace("library_name: pytorch\n", "").replace("<!-- Written", "Hello!\n\n<!-- Written")
        + "\n## Thanks\n"
    )
    for there in (edited, edited.replace("\n", "\r\n")):
        for step in (2, 3, 3):
            before, there = there, merged(a_card(step, license="cc0-1.0"), there)
            facts = ModelCard(there).data.to_dict()
            assert (facts["license"], facts["language"], facts["tags"][2]) == ("mit", "de", "mine")
            assert "library_name" not in facts
            assert facts["training"]["steps"] == step
            assert f"| steps | {step} of" in there
            assert there.count("Hello!") == there.count("## Thanks") == there.count("<!-- Written") == 1
            assert there.index("Hello!") < there.index("<!-- Written") < there.index("## Thanks")
        assert before == there  # so the third push is no commit


@pytest.mark.parametrize(
    "there",
    [
        marked(a_card(1)).replace("They are no evidence", "They are some evidence"),
        a_card(1),
        "# My model\n",
        marked(a_card(1)).replace('{"digest"', "{digest"),
        marked(a_card(1)).replace("license: cc-by-4.0", "license: [oh: no"),
    ],
    ids=["our part was changed", "of an older program", "somebody's own", "a broken mark", "broken front matter"],
)
def test_a_card_whose_edits_cannot_be_told_apart_is_left_alone(there: str) -> None:
    assert merged(a_card(2), there) is None


def test_the_card_that_the_hub_makes_for_a_new_repository_gives_its_facts() -> None:
    new = merged(a_card(1), "---\nlicense: apache-2.0\n---\n")
    assert ModelCard(new).data.license == "apache-2.0"
    assert ModelCard(merged(a_card(2), new)).data.license == "apache-2.0"
    assert "## Limits and bias" in new


def test_edits_on_the_hub_outlive_a_push(model: Path, hub: Hub, clients: Clients, tmp_path: Path) -> None:
    push = run_push("model", "owner/seasons")

    def edited(old: bytes, new: bytes) -> None:
        repo = hub.repos["owner/seasons"]
        text = repo.files["README.md"]
        assert old in text
        repo.commit("main", repo.files | {"README.md": text.replace(old, new)}, "by hand")

    def pushed(program: str, step: int) -> str:
        facts = json.loads((model / "training.json").read_text())
        (model / "training.json").write_text(json.dumps(facts | {"step": step}))
        write_card(model)
        done = clients.run(program, hub, tmp_path, HF_TOKEN="hf_owner")
        assert done.status == 0, done.stderr
        assert hub.repos["owner/seasons"].messages[-1] == f"Step {step}"
        return done.stderr

    pushed(push, 3)
    edited(b"# UNIT:", b"# Photos by Ada:")
    assert pushed(push, 4).startswith("owner/seasons keeps the card it has")
    assert b"# Photos by Ada:" in hub.repos["owner/seasons"].files["README.md"]
    assert pushed(push.replace("['model',", "['--overwrite-card', 'model',"), 5) == ""
    edited(b"license: cc-by-4.0", b"license: mit")
    assert pushed(run_push("model", "owner/seasons", "--revision", "next"), 6) == ""
    branch = hub.repos["owner/seasons"].commits[hub.repos["owner/seasons"].refs["next"]]["README.md"]
    assert b"license: mit" in branch
    assert b"| steps | 6 of" in branch


@pytest.mark.parametrize(
    "config",
    [
        presets("photos")["paper"][1],
        presets("my photos")["master2018"][1],
        presets("hf:owner/seasons")["compact"][1].replace(compile=False, steps=7, betas=(0.0, 0.9)),
        TrainConfig.of(data="x", model=TINY, weights=UNITWeights(cycle_kl=0.5), init="owner/name", tensorboard=True),
        TrainConfig.of(data="x", run_dir=Path("runs/mine"), push_to="owner/name"),
    ],
)
def test_the_command_of_the_card_makes_the_run(config: TrainConfig) -> None:
    words = shlex.split(command(config))
    assert words[:3] == ["python", "-m", "train"]
    parsed = tyro.extras.overridable_config_cli(presets(tyro.MISSING), args=words[3:])
    own = {"run_dir": config.run_dir, "push_to": config.hub.push_to}  # the reader's own business
    assert parsed.replace(**own) == config
    if config == presets("photos")["paper"][1]:
        assert words[3:] == ["paper", "--data", "photos"]


def test_options_of_an_older_version_have_the_names_of_today(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the card of a run that says `whole`, and on a command line that does."""
    options = json.loads(config.to_json())
    options["model"] |= {"format": 1, "whole": True}
    del options["model"]["aligned"]
    words = shlex.split(command(TrainConfig.from_saved(options)))
    assert "--model.aligned" in words
    assert not [word for word in words if "whole" in word or "format" in word]

    configs: list[TrainConfig] = []
    monkeypatch.setattr("train.loop.train", configs.append)
    assert main(["compact", "--data", "photos", "--model.whole"]) == 0
    assert main(["faces", "--data", "photos", "--model.no-whole"]) == 0
    assert [config.model.aligned for config in configs] == [True, False]


# ---- pushing a checkpoint --------------------------------------------------------------------------------------------


def test_what_is_pushed_comes_back_bit_for_bit(model: Path, hub: Hub, clients: Clients, tmp_path: Path) -> None:
    (model / "metrics.json").write_text(json.dumps(METRICS))
    program = """
import torch
from huggingface_hub import ModelCard
from PIL import Image
from train.publish.card import write_card
from train.publish.push import main
from unit import Translator, load_pretrained
from pathlib import Path

write_card(Path("model"))
assert main(["model", "owner/seasons"]) == 0
assert main(["model", "owner/seasons"]) == 0
mine, theirs = (load_pretrained(source).state_dict() for source in ("model", "owner/seasons"))
assert mine.keys() == theirs.keys()
assert all(torch.equal(w, theirs[key]) for key, w in mine.items())
photo = Image.radial_gradient("L").convert("RGB").resize((90, 70))
one, other = (Translator.from_pretrained(source).translate(photo, "winter") for source in ("model", "owner/seasons"))
assert one.tobytes() == other.tobytes()
card = ModelCard.load("owner/seasons")
card.validate()
print(card.data.eval_results[0].metric_name)
"""
    done = clients.run(program, hub, tmp_path, HF_TOKEN="hf_owner")
    assert (done.status, done.stderr.count("Traceback")) == (0, 0), done.stderr
    address = f"{hub.url}/owner/seasons"
    assert done.stdout.splitlines() == [address, address, "KID (EfficientNet-Lite2), summer → winter"]
    repo = hub.repos["owner/seasons"]
    assert repo.messages == ["initial commit", "Step 3"]  # and no second one, for nothing had changed
    assert not repo.private
    assert sorted(repo.files) == [
        "README.md", "config.json", "examples/a.jpg", "metrics.json", "model.safetensors", "samples.jpg",
        "training.json",
    ]  # fmt: skip
    assert b'from_pretrained("owner/seasons")' in repo.files["README.md"]
    for name in ("config.json", "model.safetensors", "metrics.json", "examples/a.jpg"):
        assert repo.files[name] == (model / name).read_bytes()


def test_private_repositories_branches_and_stale_files(model: Path, hub: Hub, clients: Clients, tmp_path: Path) -> None:
    (model / "metrics.json").write_text(json.dumps(METRICS))
    program = """
from pathlib import Path
from train.publish.push import main
print(main(["model", "owner/secret", "--private"]))
Path("model/metrics.json").unlink()
print(main(["model", "owner/secret", "--private"]))
print(main(["model", "owner/public"]))
print(main(["model", "owner/public", "--private", "--revision", "next"]))
print(main(["model", "owner/public", "--revision", "next"]))
Path("model/README.md").unlink()
print(main(["model", "owner/secret"]))
"""
    done = clients.run(program, hub, tmp_path, HF_TOKEN="hf_owner")
    assert [line for line in done.stdout.splitlines() if len(line) == 1] == ["0", "0", "0", "1", "0", "0"], done.stderr
    assert done.stderr == (
        "owner/public is there already and is public: make it private on its page, or push without --private "
        "(training: with --no-push-private).\n"
    )
    secret, public = hub.repos["owner/secret"], hub.repos["owner/public"]
    assert secret.private
    assert not public.private
    assert "metrics.json" in list(secret.commits.values())[1]
    assert "metrics.json" not in secret.files
    assert "README.md" in secret.files  # a card may be somebody's own work, so it stays
    assert public.refs.keys() == {"main", "next"}


def test_a_hub_in_trouble_is_asked_again(model: Path, hub: Hub, clients: Clients, tmp_path: Path) -> None:
    hub.trouble = {"commit": iter([503, 503, 429]), "create": iter([500]), "validate": iter([502])}
    done = clients.run(QUICK + run_push("model", "owner/seasons"), hub, tmp_path, HF_TOKEN="hf_owner")
    assert (done.status, done.stderr) == (0, "")
    assert hub.repos["owner/seasons"].messages == ["initial commit", "Step 3"]
    assert sum("/commit/" in line for line in hub.asked) == 4


@pytest.mark.parametrize(
    ("status", "reason"), [(503, "the Hugging Face Hub does not answer as it should (503). Try again later."), (0, "")]
)
def test_a_hub_that_stays_in_trouble_is_told_in_one_line(
    status: int, reason: str, model: Path, hub: Hub, clients: Clients, tmp_path: Path
) -> None:
    hub.trouble = {"commit": repeat(status)} if status else {}
    settings = {} if status else {"HF_ENDPOINT": "http://127.0.0.1:9"}  # nothing listens there
    reason = reason or "the Hugging Face Hub does not answer as it should. Try again later."
    done = clients.run(QUICK + run_push("model", "owner/seasons"), hub, tmp_path, HF_TOKEN="hf_owner", **settings)
    assert (done.status, done.stdout) == (1, "")
    assert done.stderr == f"owner/seasons was not pushed: {reason}\n"
    assert sum("/commit/" in line for line in hub.asked) == (6 if status else 0)


def test_what_cannot_succeed_is_not_tried_again(model: Path, hub: Hub, clients: Clients, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged").mkdir()
    for path in model.iterdir():
        if path.is_file():
            (tmp_path / "damaged" / path.name).write_bytes(path.read_bytes()[:200])
    may_not = "this token may not write to {}: use your own name or organisation, and a token that may write."
    expired = "the Hugging Face Hub refuses the token: renew it (hf auth login), or set HF_TOKEN to another."
    cases = {
        ("", "model", "owner/seasons"): "there is no token to push with: run hf auth login, or set HF_TOKEN.",
        ("hf_expired", "model", "owner/seasons"): expired,
        ("hf_reader", "model", "owner/new"): may_not.format("owner/new"),
        ("hf_guest", "model", "owner/there"): may_not.format("owner/there"),
        ("hf_owner", "model", "seasons"): "seasons is not the name of a repository: write owner/name.",
        ("hf_owner", "model", "owner/a/b"): "owner/a/b is not the name of a repository: write owner/name.",
        ("hf_owner", "away", "owner/there"): "away is neither an exported model (it has no config.json) "
        "nor a run with a checkpoint.",
        ("hf_owner", "damaged", "owner/there"): "config.json of damaged is not readable as JSON.",
    }
    program = f"""
import os, sys
from train.publish.push import main
assert main(["model", "owner/there"]) == 0
for token, folder, repo in {list(cases)}:
    os.environ["HF_TOKEN"] = token
    assert main([folder, repo]) == 1
os.environ["HF_TOKEN"] = "hf_owner"
from pathlib import Path
card = Path("model/README.md")
card.write_text(card.read_text().replace("cc-by-4.0", "not one word"))
assert main(["model", "owner/there"]) == 1
"""
    done = clients.run(program, hub, tmp_path, HF_TOKEN="hf_owner")
    assert done.status == 0, done.stderr
    *lines, last = done.stderr.splitlines()
    assert dict(zip(cases, lines, strict=True)) == cases
    assert last.startswith("owner/there was not pushed: Invalid metadata in README.md.")
    assert hub.repos.keys() == {"owner/there"}
    assert hub.repos["owner/there"].messages == ["initial commit", "Step 3"]

    offline = clients.run(run_push("model", "owner/there"), hub, tmp_path, HF_TOKEN="hf_owner", HF_HUB_OFFLINE="1")
    assert (offline.status, offline.stderr) == (1, "owner/there was not pushed: HF_HUB_OFFLINE is set.\n")


def test_every_pushes_what_is_new_until_it_is_stopped(model: Path, hub: Hub, clients: Clients, tmp_path: Path) -> None:
    program = """
import json, os, signal, sys, threading, time
from pathlib import Path
from train.publish.push import main

def pushes(n):
    while len(Path("stdout").read_text().splitlines()) < n:
        time.sleep(0.01)

def change():
    facts = Path("model/training.json")
    pushes(1)
    Path("model/config.json").rename("aside")
    while not Path("stderr").read_text():
        time.sleep(0.01)
    Path("aside").rename("model/config.json")
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "step": 9}))
    pushes(2)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=change, daemon=True).start()
sys.exit(main(["model", "owner/seasons", "--every", "0.001"]))
"""
    done = clients.run(program, hub, tmp_path, HF_TOKEN="hf_owner")
    assert done.status == 130, done.stderr
    assert set(done.stderr.splitlines()) == {
        "model is neither an exported model (it has no config.json) nor a run with a checkpoint."
    }
    assert hub.repos["owner/seasons"].messages == ["initial commit", "Step 3", "Step 9"]


# ---- pushing while training ------------------------------------------------------------------------------------------


def in_training(config: TrainConfig, **options: object) -> str:
    """A program's first lines: `config`, with another data folder and options."""
    fields = {"run_dir": f'Path("{config.run_dir}")', "push_to": "'owner/seasons'"} | {
        k: repr(v) for k, v in options.items()
    }
    return f"""
from pathlib import Path
from train.publish import push
from train.config import TrainConfig
from train.state import TrainState
from unit import UNITConfig, hub
hub.WAITS = (0.01,) * 5
config = TrainConfig.of(
    data={config.data.source!r}, model=UNITConfig(dim=4, n_res=1, image_size=64), discriminator="multiscale",
    batch_size=2, steps=4, compile=False, workers=0, device="cpu", cache=False, save_every=100, sample_every=100,
    {", ".join(f"{name}={value}" for name, value in fields.items())},
)
"""


def test_a_newer_snapshot_replaces_one_that_waits(
    config: TrainConfig, hub: Hub, clients: Clients, tmp_path: Path
) -> None:
    program = (
        in_training(config)
        + """
import time
state = TrainState.build(config)
pusher = push.Pusher(config)
for state.step in (1, 2, 3, 4):
    pusher.push(state)
    while state.step == 1 and not pusher.waiting.empty():
        time.sleep(0.01)
print("all pushed", flush=True)
pusher.close(timeout=600)
print("closed")
"""
    )
    hub.open.clear()
    clients.start(program, hub, tmp_path, HF_TOKEN="hf_owner")
    while not (tmp_path / "stdout").is_file() or "all pushed" not in (tmp_path / "stdout").read_text():
        time.sleep(0.02)
    assert hub.repos["owner/seasons"].messages == ["initial commit"]  # the first is still under way: nobody waited
    hub.open.set()
    done = clients.wait()
    assert (done.status, done.stdout, done.stderr) == (0, "all pushed\nclosed\n", "")
    assert hub.repos["owner/seasons"].messages == ["initial commit", "Step 1", "Step 4"]
    assert hub.most_at_once == 1
    assert hub.repos["owner/seasons"].private
    assert "samples.jpg" in hub.repos["owner/seasons"].files


def test_closing_does_not_wait_for_ever(config: TrainConfig, hub: Hub, clients: Clients, tmp_path: Path) -> None:
    program = (
        in_training(config)
        + """
pusher = push.Pusher(config)
pusher.push(TrainState.build(config))
pusher.close(timeout=0.5)
"""
    )
    hub.open.clear()
    done = clients.run(program, hub, tmp_path, HF_TOKEN="hf_owner")
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout == (
        "the last push to owner/seasons was not over after 0 s. To make up for it: "
        f"python -m train push {config.run_dir} owner/seasons\n"
    )


@pytest.mark.slow
def test_a_run_pushes_as_it_goes_and_no_failure_stops_it(
    config: TrainConfig, hub: Hub, clients: Clients, tmp_path: Path
) -> None:
    train = "from train.loop import train\nprint(train(config).name)\n"
    good = clients.run(in_training(config, push_every=2) + train, hub, tmp_path, HF_TOKEN="hf_owner")
    assert good.status == 0, good.stderr
    assert good.stdout.splitlines()[-1] == "step-00000004.safetensors"
    assert hub.repos["owner/seasons"].messages[-1] == "Step 4"

    bad = config.replace(run_dir=tmp_path / "bad")
    refused = clients.run(in_training(bad) + train, hub, tmp_path, HF_TOKEN="hf_expired")
    assert refused.stderr.splitlines()[-1].startswith("unit.hub.PushError: the Hugging Face Hub refuses the token")
    assert not list(bad.run_dir.glob("*.safetensors"))  # it is known before the first step

    hub.trouble = {"create": repeat(503)}
    alone = clients.run(in_training(bad, push_every=2) + train, hub, tmp_path, HF_TOKEN="hf_owner")
    assert alone.status == 0, alone.stderr
    assert alone.stdout.splitlines()[-1] == "step-00000004.safetensors"
    told = [line for line in alone.stdout.splitlines() if "pushed" in line]
    reason = "owner/seasons was not pushed: the Hugging Face Hub does not answer as it should (503). Try again later."
    assert told[0] == f"{reason} Training goes on, and so will the pushes."
    assert set(told[1:]) == {reason}
    assert "Traceback" not in alone.stderr

    hub.trouble = {}
    pushed = clients.run(run_push("bad", "owner/run"), hub, tmp_path, HF_TOKEN="hf_owner")  # a run, not a checkpoint
    assert (pushed.status, pushed.stdout) == (0, f"{hub.url}/owner/run\n"), pushed.stderr
    assert hub.repos["owner/run"].messages == ["initial commit", "Step 4"]
