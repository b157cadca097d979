"""The page in Traditional Chinese: nothing that people read has been left in English."""

import ast
import pickle
import re
from pathlib import Path
from string import Formatter

import pytest

import app
from unit.demo import texts
from unit.demo.i18n import CHINESE, ENGLISH
from unit.demo.locale import zh_tw
from unit.demo.service import DemoService
from unit.images import ImageError
from unit.messages import Message

pytest_plugins = ["app_server"]

READ = ("label", "info", "placeholder", "alt_text", "value", "choices")
CHINESE_LETTER = "[\u4e00-\u9fff]"
ENGLISH_TOO = {
    "UNIT",
    "card",
    "credits",
    "asked",
    "face_of",
    "open",
    "fresh",
    "go",
    "turn",
}  # the card and the credits are others' texts


def read_on(demo, path: str) -> list[str]:
    """What people read on one page: labels, button texts, explanations, descriptions of pictures."""
    on_it = set(demo.config["page"][path]["components"])
    found: list[str] = []
    for component in demo.config["components"]:
        props = component["props"]
        if component["id"] not in on_it or props.get("elem_id") in ENGLISH_TOO or component["type"] in ("html", "api"):
            continue
        for value in (props.get(name) for name in READ if (component["type"], name) != ("radio", "value")):
            if isinstance(value, str):
                found.append(value)
            elif isinstance(value, list):
                found += [
                    choice[0] for choice in value if isinstance(choice, list | tuple) and isinstance(choice[0], str)
                ]
    return found


@pytest.fixture(scope="module")
def demo(checkpoints: Path):
    models, _ = app.find_models(checkpoints, [])
    notice = Message("Could not load {missing} from the Hugging Face Hub.", {"missing": "a/b"})
    return app.build_demo(app.page_assets(models, checkpoints, notice))


def test_every_text_of_the_page_is_translated(demo):
    english, chinese = read_on(demo, ENGLISH.path), read_on(demo, CHINESE.path)
    assert len(english) == len(chinese) > 60
    untranslated = {text for text in set(english) & set(chinese) if re.search("[a-z]{2}", text)}
    names = {"summer2winter", "seasons", "zoo", "A summer meadow", "Winter lake"}
    assert untranslated - names == set()


@pytest.mark.parametrize(
    ("text", "values", "english", "chinese"),
    [
        ("{name} is empty.", {"name": "holiday.png"}, "holiday.png is empty.", "holiday.png 是空的。"),
        (
            "{done} of {tiles} parts are done",
            {"done": 3, "tiles": 20},
            "3 of 20 parts are done",
            "已完成 3 塊，共 20 塊",
        ),
        ("Difference: {share:.1%}", {"share": 0.25}, "Difference: 25.0%", "差異：25.0%"),
        (
            "The direction is {direction}: choose {directions}.",
            {"direction": "3", "directions": ["summer → winter", "elf → winter"]},
            "The direction is 3: choose summer → winter or elf → winter.",
            "沒有 3 這個方向：請選擇 夏天 → 冬天或elf → 冬天。",
        ),
        (
            "{name} must be a number from {low} to {high}, and it is {value}.",
            {"name": "Temperature", "low": 0, "high": 3, "value": "3.5"},
            "Temperature must be a number from 0 to 3, and it is 3.5.",
            "溫度必須是 0 到 3 的數字，現在是 3.5。",
        ),
        ("no such {text}", {"text": "text"}, "no such text", "no such text"),
        ("{braces} without values", {}, "{braces} without values", "{braces} without values"),
    ],
)
def test_values_fill_the_places_of_a_text(text: str, values: dict[str, object], english: str, chinese: str) -> None:
    message = Message(text, values)
    assert str(message) == ENGLISH(text, **values) == ENGLISH.message(message) == english
    assert CHINESE.message(message) == chinese


def test_an_error_is_said_in_the_language_of_the_page_also_after_it_has_crossed_processes() -> None:
    error = pickle.loads(pickle.dumps(ImageError("{name} is empty.", name="{odd}.png")))
    assert str(error) == "{odd}.png is empty."
    assert CHINESE.message(error.message) == "{odd}.png 是空的。"


def test_shipped_example_photos_have_chinese_names():
    shipped = Path(app.__file__).parent / "checkpoints"
    models, _ = app.find_models(shipped, [])
    folders = {name: shipped / name for name in models}
    labels = {example.label for example in app.example_photos(folders, DemoService(models))}
    assert len(labels) >= 6
    assert {label for label in labels if CHINESE(label) == label} == set()


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_a_translation_has_the_places_of_its_text() -> None:
    for english, chinese in CHINESE.table.items():
        if english not in vars(texts).values():
            assert places(chinese) == places(english), english


def said() -> set[str]:
    """All texts that the code says to visitors, from where it says them: words("..."), UserError("..."), and so on."""
    root = Path(app.__file__).parent
    found = set()
    for path in (root / "unit/images.py", *(root / "unit/demo").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if name in ("words", "UserError", "ImageError", "Message"):
                text = call.args[0]
                value = constants.get(text.id) if isinstance(text, ast.Name) else getattr(text, "value", None)
                found |= {value} if isinstance(value, str) else set()
    return found


def test_every_text_that_the_code_says_is_translated() -> None:
    found = said()
    assert len(found) > 80
    assert "{name} is damaged or cut short: try another copy of it." in found  # said by way of a constant
    assert found - CHINESE.table.keys() == set()


def avoided() -> set[str]:
    """The words of the glossary's last table, of which each row begins with those that are not used."""
    glossary = Path(zh_tw.__file__).with_name("GLOSSARY.md").read_text(encoding="utf-8")
    rows = glossary.partition("Not used:")[2].splitlines()
    return {word.strip() for row in rows if re.search(CHINESE_LETTER, row) for word in row.split("|")[1].split("、")}


def test_words_that_the_glossary_avoids_do_not_come_back() -> None:
    assert {"翻譯", "夢", "顆粒", "圖像"} <= avoided()
    used = {word: text for text in CHINESE.table.values() for word in avoided() if word in text}
    assert used == {}


def test_punctuation_in_chinese_is_chinese() -> None:
    """No comma, colon or stop of English beside a Chinese letter, and no dots for an ellipsis."""
    wrong = f"{CHINESE_LETTER}[,:;!?]|[,;!?]{CHINESE_LETTER}|{CHINESE_LETTER}\\.{{3}}|{CHINESE_LETTER} *…(?!…)(?<!……)"
    assert re.search(wrong, "照片,請")
    assert re.search(wrong, "照片…")
    assert [text for text in CHINESE.table.values() if re.search(wrong, text)] == []
