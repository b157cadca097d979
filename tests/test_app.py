"""The app without a browser: its functions, and its API as a real client calls it."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from app_server import MISSING_REPO, write_photo
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image, ImageChops

import app
from unit.demo.service import SIDE, DemoService
from unit.pipeline import Sampling, Translator

pytest_plugins = ["app_server"]
TO_WINTER, TO_SUMMER = "summer → winter", "winter → summer"
ELEMENTS = [
    "way", "photo", "examples", "adjust", "face", "before_after", "note", "flip", "download", "reuse", "undo", "full",
    "strip", "gallery", "more", "strength", "temperature", "grain", "seed", "dice", "result_in", "result_there",
    "result_back", "again", "again_heat", "cycle", "cycle_heat", "walk", "walk_film", "walk_download", "photo_2",
    "seconds", "position", "domain", "between", "journey", "journey_film", "journey_download", "pairs", "about", "card",
]  # fmt: skip


@pytest.fixture(scope="module")
def client(app_url: str, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(app_url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


@pytest.fixture(scope="module")
def seasons(checkpoints: Path) -> Translator:
    return Translator.from_pretrained(checkpoints / "seasons")


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photo(tmp_path_factory.mktemp("photos") / "my photo.png")


def same(a: Path | str | Image.Image, b: Path | str | Image.Image) -> bool:
    """Equal but for rounding: the server may use its threads differently."""
    a, b = (x if isinstance(x, Image.Image) else Image.open(x) for x in (a, b))
    return a.size == b.size and max(high for _, high in ImageChops.difference(a, b).getextrema()) <= 1


def elements(demo) -> dict[str, dict]:
    """Of the English page, which is the first."""
    first = demo.config["page"][""]["components"]
    props = (c["props"] for c in demo.config["components"] if c["id"] in first)
    return {p["elem_id"]: p for p in props if p.get("elem_id")}


# ---- building the page


def test_the_page_of_one_model(seasons, tmp_path):
    page = elements(app.build_demo(app.page_assets({"seasons": seasons}, tmp_path)))
    assert set(ELEMENTS) <= set(page)
    assert "notice" not in page
    assert [label for label, _ in page["way"]["choices"]] == [TO_WINTER, TO_SUMMER]
    assert page["before_after"]["value"]["after"]["orig_name"].endswith("-winter.png")  # of what it made up from noise
    # The camera's photos would be stored and drawn as nobody else sees what is on them.
    assert [page[box]["webcam_options"]["mirror"] for box in ("photo", "photo_2")] == [False, False]


def test_the_page_of_two_models_offers_both(checkpoints):
    models, notice = app.find_models(checkpoints, [])
    page = elements(app.build_demo(app.page_assets(models, checkpoints, notice)))
    assert [tuple(choice) for choice in page["way"]["choices"]] == [
        (TO_WINTER, f"seasons/{TO_WINTER}"), (TO_SUMMER, f"seasons/{TO_SUMMER}"),
        ("cat → dog", "zoo/cat → dog"), ("dog → cat", "zoo/dog → cat"),
    ]  # fmt: skip
    assert [tuple(choice) for choice in page["examples"]["choices"]] == [("A summer meadow", "seasons/a-summer_meadow")]


def test_models_of_the_same_kinds_are_told_apart_by_their_names(seasons, tmp_path):
    page = elements(app.build_demo(app.page_assets({"one": seasons, "two": seasons}, tmp_path)))
    labels = [label for label, _ in page["way"]["choices"]]
    assert labels == [f"{way} ({name})" for name in ("one", "two") for way in (TO_WINTER, TO_SUMMER)]


def test_the_page_begins_with_any_photo_and_the_most_examples(checkpoints, tmp_path):
    shutil.copytree(checkpoints, tmp_path / "three")
    shutil.copytree(checkpoints / "seasons", tmp_path / "three" / "days", ignore=shutil.ignore_patterns("winter*"))
    models, _ = app.find_models(tmp_path / "three", [])
    assert list(models) == ["seasons", "days", "zoo"]


def test_example_photos_know_their_direction(checkpoints, seasons):
    service = DemoService({"someone/seasons": seasons, "someone/else": seasons})
    folders = {"someone/seasons": checkpoints / "seasons", "someone/else": None}
    assert [example[1:] for example in app.example_photos(folders, service)] == [
        ("someone/seasons", TO_WINTER, "A summer meadow"),
        ("someone/seasons", TO_SUMMER, "Winter lake"),
    ]


def test_a_bad_folder_does_not_hide_a_good_one(checkpoints, tmp_path, capsys):
    models, missing = app.load({"bad": tmp_path, "good": checkpoints / "seasons"})
    assert (list(models), missing) == (["good"], ["bad"])
    assert capsys.readouterr().err.startswith("bad: ")


def test_no_models_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["app.py", "--checkpoints", str(tmp_path)])
    monkeypatch.delenv("UNIT_MODELS", raising=False)
    with pytest.raises(SystemExit, match=r"^No models found in "):  # text as the code: printed, and status 1
        app.main()


# ---- calling it


def test_models(client):
    assert client.predict(api_name="/models") == [
        {"name": "seasons", "directions": [TO_WINTER, TO_SUMMER], "style_dim": None},
        {"name": "zoo", "directions": ["cat → dog", "dog → cat"], "style_dim": None},
    ]


def test_only_the_documented_endpoints_are_named(client):
    described = client.view_api(return_format="dict", print_info=False)
    assert set(described["named_endpoints"]) == {
        "/translate", "/sample", "/interpolate", "/reconstruct", "/models",
    }  # fmt: skip


def test_the_endpoints_say_what_they_take(client):
    described = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    takes = {
        name: {p["parameter_name"]: p["python_type"]["type"] for p in endpoint["parameters"]}
        for name, endpoint in described.items()
    }
    noise = {"temperature": "float", "grain": "int", "seed": "int"}
    assert {k: v for k, v in takes["/translate"].items() if k != "image"} == {
        "direction": "str", "model": "str", "put_back": "bool", "style_seed": "None | int",
        "style_image": "None | filepath", **noise,
    }  # fmt: skip
    assert {k: v for k, v in takes["/sample"].items() if k != "image"} == {
        "direction": "str", "model": "str", "count": "int", **noise,
    }  # fmt: skip
    assert {k: v for k, v in takes["/interpolate"].items() if not k.startswith("image")} == {
        "direction": "str", "model": "str", "steps": "int", "draw_in": "str",
    }  # fmt: skip
    assert {k: v for k, v in takes["/reconstruct"].items() if k != "image"} == {
        "domain": "str", "model": "str", "cycle": "bool",
    }  # fmt: skip
    assert all(endpoint.get("description") for endpoint in described.values())
    gives = {name: endpoint["returns"][0]["python_type"]["type"] for name, endpoint in described.items()}
    assert gives == {
        "/translate": "filepath", "/sample": "list[filepath]", "/interpolate": "list[filepath]",
        "/reconstruct": "filepath", "/models": "list[dict(str, Any)]",
    }  # fmt: skip


@pytest.mark.parametrize(("direction", "target"), [(TO_WINTER, "winter"), (TO_SUMMER, "summer")])
def test_translate_is_what_the_translator_draws(client, seasons, photo, direction, target):
    file = client.predict(image=handle_file(photo), direction=direction, api_name="/translate")
    assert Path(file).name == f"my photo-{target}.png"
    assert Image.open(file).size == (123, 77)
    assert same(file, seasons.translate(photo, target))


def test_curl_can_do_it_too(app_url, seasons, photo, tmp_path):
    """As docs/demo.md says: upload, call, read the stream of events, fetch the picture."""

    def curl(*arguments: str | Path) -> bytes:
        return subprocess.run(["curl", "-sS", "--fail", *map(str, arguments)], check=True, capture_output=True).stdout

    (path,) = json.loads(curl("-F", f"files=@{photo}", f"{app_url}/gradio_api/upload"))
    call = f"{app_url}/gradio_api/call/v2/translate"
    image = {"path": path, "meta": {"_type": "gradio.FileData"}}
    settings = {"image": image, "direction": TO_WINTER, "temperature": 1, "seed": 3}
    event = json.loads(curl("--json", json.dumps(settings), call))["event_id"]
    last = curl("-N", f"{app_url}/gradio_api/call/translate/{event}").decode().strip().splitlines()[-1]
    (drawn,) = json.loads(last.removeprefix("data: "))
    (tmp_path / "drawn.png").write_bytes(curl(drawn["url"]))
    assert same(tmp_path / "drawn.png", seasons.translate(photo, "winter", Sampling(1, seed=3)))


def test_translate_of_another_model(client, photo):
    file = client.predict(image=handle_file(photo), direction="dog → cat", model="zoo", api_name="/translate")
    assert Path(file).name == "my photo-cat.png"


def test_seeds(client, photo):
    def draw(seed: int, temperature: float) -> bytes:
        settings = {"direction": TO_WINTER, "temperature": temperature, "grain": 2, "seed": seed}
        return Path(client.predict(image=handle_file(photo), **settings, api_name="/translate")).read_bytes()

    assert draw(1, 1.0) == draw(1, 1.0)
    assert draw(1, 1.0) != draw(2, 1.0)
    assert draw(1, 0.0) == draw(2, 0.0)


def test_sample_draws_one_picture_a_seed(client, photo):
    settings = {"image": handle_file(photo), "direction": TO_WINTER, "temperature": 2.0, "grain": 4}
    files = client.predict(**settings, count=3, seed=5, api_name="/sample")
    assert [Path(f).name for f in files] == [f"my photo-winter-{seed}.png" for seed in (5, 6, 7)]
    assert not same(files[0], files[1])
    assert same(files[2], client.predict(**settings, seed=7, api_name="/translate"))


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (2000, 3)])
def test_photos_of_odd_shapes(client, tmp_path, size):
    odd = handle_file(write_photo(tmp_path / "odd.png", size))
    assert Image.open(client.predict(image=odd, direction=TO_WINTER, api_name="/translate")).size == size
    (sample,) = client.predict(image=odd, direction=TO_WINTER, count=1, api_name="/sample")
    assert max(Image.open(sample).size) == min(max(size), SIDE)
    steps = client.predict(image=odd, image_2=odd, direction=TO_WINTER, steps=2, api_name="/interpolate")
    assert {Image.open(step).size for step in steps} == {Image.open(sample).size}
    back = client.predict(image=odd, domain="summer", cycle=True, api_name="/reconstruct")
    assert Image.open(back).size == Image.open(sample).size


def test_samples_of_a_large_photo_are_small(client, tmp_path):
    large = write_photo(tmp_path / "large.png", (1030, 206))
    (file,) = client.predict(image=handle_file(large), direction=TO_WINTER, count=1, api_name="/sample")
    assert Image.open(file).size == (SIDE, SIDE // 5)


def test_interpolate_goes_from_photo_to_photo(client, seasons, photo, tmp_path):
    two = write_photo(tmp_path / "two.png", (90, 90))
    call = {"image": handle_file(photo), "image_2": handle_file(two), "api_name": "/interpolate"}
    files = client.predict(**call, direction=TO_WINTER, steps=3)
    expected = seasons.interpolate(photo, two, "winter", steps=3)
    assert len(files) == 3
    assert all(map(same, files, expected))
    (first, _) = client.predict(**call, direction=TO_WINTER, steps=2, draw_in="summer")
    assert same(first, seasons.reconstruct(photo, "summer"))


def test_reconstruct_and_cycle(client, seasons, photo):
    call = {"image": handle_file(photo), "api_name": "/reconstruct"}
    again = client.predict(**call, domain="winter")
    assert same(again, seasons.reconstruct(photo, "winter"))
    assert Path(again).name == "my photo-again.png"
    back = client.predict(**call, domain="summer", cycle=True)
    assert same(back, seasons.translate(seasons.translate(photo, "winter"), "summer"))


@pytest.mark.parametrize(
    ("api_name", "settings", "sentence"),
    [
        ("/reconstruct", {"domain": "autumn"}, "'autumn' is not a domain of this model: choose summer or winter"),
        ("/reconstruct", {"domain": ""}, "choose summer or winter"),
        ("/interpolate", {"image_2": None, "direction": TO_WINTER}, "Please add a second photo"),
        ("/interpolate", {"direction": TO_WINTER, "steps": 1}, "Number of steps must be a number from 2 to 16"),
        ("/interpolate", {"direction": TO_WINTER, "draw_in": "autumn"}, "choose summer or winter"),
        ("/sample", {"direction": TO_WINTER, "model": "zoo"}, "belongs to the model .*: choose that model too"),
    ],
)
def test_bad_calls_get_one_sentence(client, photo, api_name, settings, sentence):
    photos = {"image": handle_file(photo)} | ({"image_2": handle_file(photo)} if api_name == "/interpolate" else {})
    with pytest.raises(AppError, match=sentence):
        client.predict(**{**photos, **settings}, api_name=api_name)


def test_a_photo_that_lies_on_its_side_comes_out_upright(client, photo, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees to see it
    Image.open(photo).save(tmp_path / "side.jpg", exif=exif)
    file = client.predict(image=handle_file(tmp_path / "side.jpg"), direction=TO_WINTER, api_name="/translate")
    assert Image.open(file).size == (77, 123)
    assert not Image.open(file).getexif()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"direction": "summer → autumn"}, "choose summer → winter or winter → summer"),
        ({"direction": ["summer"]}, r"The direction is \['summer'\]: choose summer → winter or winter → summer"),
        ({"direction": 10**6 * "x"}, r"The direction is 'x+\.\.\.x+': choose"),
        ({"model": ["zoo"]}, r"There is no model \['zoo'\] here: choose seasons or zoo"),
        ({"direction": "cat → dog"}, "cat → dog belongs to the model zoo: choose that model too"),
        ({"temperature": 3.5}, "Temperature must be a number from 0 to 3"),
        ({"temperature": "hot"}, "Temperature must be a number"),
        ({"grain": 0}, "Grain must be a number from 1 to 32"),
        ({"seed": -1}, "Seed must be a number from 0"),
        ({"seed": 10**22}, f"Seed must be a number from 0 to 2147483647, and it is {10**22}"),
    ],
)
def test_bad_settings_get_one_sentence(client, photo, settings, sentence):
    with pytest.raises(AppError, match=sentence):
        client.predict(**{"image": handle_file(photo), "direction": TO_WINTER, **settings}, api_name="/translate")


def test_the_number_of_samples_is_limited(client, photo):
    with pytest.raises(AppError, match="Number of samples must be a number from 1 to 8"):
        client.predict(image=handle_file(photo), direction=TO_WINTER, count=9, api_name="/sample")


def test_no_photo_gets_one_sentence(client):
    with pytest.raises(AppError, match=r"^Please add a photo first\.$"):
        client.predict(image=None, direction=TO_WINTER, api_name="/translate")


ADDRESS = handle_file("https://name.invalid/cat.png")


@pytest.mark.parametrize(
    ("api_name", "settings"),
    [
        ("/translate", {"image": ADDRESS, "direction": TO_WINTER}),
        ("/sample", {"image": ADDRESS, "direction": TO_WINTER}),
        ("/interpolate", {"image_2": ADDRESS, "direction": TO_WINTER}),
        ("/reconstruct", {"image": ADDRESS, "domain": "summer"}),
    ],
)
def test_an_address_in_place_of_a_file_is_one_sentence(client, photo, api_name, settings):
    with pytest.raises(AppError, match="fetches nothing from other machines: download the photo, and send the file"):
        client.predict(**{"image": handle_file(photo), **settings}, api_name=api_name)


@pytest.mark.parametrize("image", ["data:image/png;base64,iVBORw0KGgo=", 7, [], {"url": "cat.png"}], ids=str)
def test_a_photo_that_is_no_file_is_one_sentence(client, image):
    with pytest.raises(AppError, match="This is not an uploaded picture: upload the file first"):
        client.predict(image=image, direction=TO_WINTER, api_name="/translate")


def test_the_server_tells_visitors_about_the_missing_repository(client):
    english, chinese = (
        c["props"]["value"] for c in client.config["components"] if c["props"].get("elem_id") == "notice"
    )
    assert english == f"Could not load {MISSING_REPO} from the Hugging Face Hub. These models came with the app."
    assert chinese == f"無法從 Hugging Face Hub 載入 {MISSING_REPO}。這些是隨附的模型。"


def test_a_port_that_is_taken_is_one_sentence(checkpoints, tmp_path):
    """And not another port, which a proxy would never find."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        settings = {"GRADIO_SERVER_PORT": port, "GRADIO_TEMP_DIR": str(tmp_path), "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, app.__file__, "--checkpoints", str(checkpoints)]
        done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert f"Cannot find empty port in range: {port}-{port}" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("unit-page-*"))


@pytest.mark.parametrize(
    ("value", "port"), [("", None), ("0", None), (" 7861 ", 7861), ("tcp://10.0.0.1:8080", 8080)], ids=str
)
def test_the_port_that_is_asked_for(value, port):
    assert app.port_asked_for(value) == port


@pytest.mark.parametrize("value", ["99999", "http", "tcp://10.0.0.1", "-1"])
def test_no_port_is_one_sentence(value):
    with pytest.raises(SystemExit, match="it must be a port from 1 to 65535, or unset"):
        app.port_asked_for(value)
