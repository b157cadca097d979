"""The page in Traditional Chinese: nothing that people read has been left in English."""

import re
from pathlib import Path

import pytest

import app
from unit.demo.i18n import CHINESE, ENGLISH
from unit.demo.service import Studio

pytest_plugins = ["app_server"]

READ = ("label", "info", "placeholder", "alt_text", "value", "choices")
ENGLISH_TOO = {"UNIT", "card", "credits", "asked", "face_of"}  # the card and the credits are others' texts


def texts(demo, path: str) -> list[str]:
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
    return app.build_demo(models, checkpoints, "Could not load a/b from the Hugging Face Hub.")


def test_every_text_of_the_page_is_translated(demo):
    english, chinese = texts(demo, ENGLISH.path), texts(demo, CHINESE.path)
    assert len(english) == len(chinese) > 60
    untranslated = {text for text in set(english) & set(chinese) if re.search("[a-z]{2}", text)}
    names = {"summer2winter", "seasons", "zoo"}
    assert untranslated - names == set()


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("summer → winter", "夏天 → 冬天"),
        ("elf → winter", "elf → 冬天"),
        ("Temperature must be a number from 0 to 3, and it is 3.5.", "溫度必須是 0 到 3 的數字，現在是 3.5。"),
        ("holiday.png is empty.", "holiday.png 是空的。"),
        ("Drawn: 3 of 20 tiles", "已畫 3 塊，共 20 塊"),
        (
            "| success (linear probe) | summer → winter | 0.680 |  | 0.729 |",
            "| 成功率（線性探測） | 夏天 → 冬天 | 0.680 |  | 0.729 |",
        ),
        ("no such text", "no such text"),
    ],
)
def test_sentences_are_looked_up_by_their_pattern(english, chinese):
    assert CHINESE(english) == chinese
    assert ENGLISH(english) == english


def test_shipped_example_photos_have_chinese_names():
    shipped = Path(app.__file__).parent / "checkpoints"
    models, _ = app.find_models(shipped, [])
    folders = {name: shipped / name for name in models}
    labels = {example.label for example in app.example_photos(folders, Studio(models))}
    assert len(labels) >= 6
    assert {label for label in labels if CHINESE(label) == label} == set()


def test_a_translation_uses_only_what_its_pattern_has():
    for english, chinese in CHINESE.table.items():
        assert set(re.findall(r"{\w+}", chinese)) <= set(re.findall(r"{\w+}", english)), english


def mistakes() -> set[str]:
    """Patterns of all sentences that visitors may be told, from where they are raised."""
    root = Path(app.__file__).parent
    code = "\n".join(
        (root / "unit" / name).read_text() for name in ("demo/service.py", "images.py", "demo/page.py", "demo/files.py")
    )
    raised = re.findall(r"(?:Mistake|ImageError|mistake)\(\s*f?\"((?:[^\"\\]|\\.)*)\"\s*\)", code)
    return {re.sub(r"{.*?}", "7", sentence) for sentence in raised}


def test_every_sentence_that_is_raised_is_translated():
    sentences = mistakes()
    assert len(sentences) > 10
    assert {sentence for sentence in sentences if CHINESE(sentence) == sentence} == set()
