"""What the page says about a checkpoint."""

import json
import time
from pathlib import Path

import pytest

from unit import Translator
from unit.demo.model_info import METRICS, card, credits, facts, measures

ROWS = [
    {"metric": "KID", "features": "an eye", "direction": "summer → winter", "of": of, "value": value, "n": 9}
    for of, value in (("translated", 0.0512), ("untranslated", 0.2), ("real", None))
]
CARD = """\
---
license: other
---

<!-- made by a program -->
# UNIT

![badge](https://example.com/badge.svg) and <img src="https://example.com/spy.gif"> [a page](https://example.com)

## Limits
Few.
"""


def test_facts(tiny_checkpoint: Path):
    translator = Translator.from_pretrained(tiny_checkpoint)
    text = facts(translator, tiny_checkpoint)
    assert "summer into winter" in text
    assert f"{translator.parameters / 1e6:.1f} million parameters" in text
    assert "16 numbers for every 4 x 4 pixels" in text
    assert "There are no measures of these weights here." in text


def test_measures_stand_between_floor_and_ceiling(tmp_path: Path):
    results = {"features": "an eye", "data": "yosemite", "size": 128, "rows": ROWS}
    (tmp_path / METRICS).write_text(json.dumps(results))
    text = measures(tmp_path)
    assert "Judged by an eye on held-out photos of `yosemite`, 128 px." in text
    assert "| KID | summer → winter | 0.051 | 0.200 | not a number |" in text


def test_measures_ask_no_other_host_for_anything(tmp_path: Path):
    tricks = ["![x](https://spy.example/x.gif)", "<img src=//spy.example>", "a | b\n\n![x]", "`![x](//spy.example)`"]
    for trick in tricks:
        row = {"metric": trick, "direction": trick, "of": "translated", "value": 1}
        (tmp_path / METRICS).write_text(json.dumps({"features": trick, "data": trick, "size": trick, "rows": [row]}))
        text = measures(tmp_path)
        assert text.startswith("Judged by")
        assert "![" not in text
        assert "<" not in text
        assert len(text.splitlines()) == 5


HUGE = '{"rows": [{"of": "real", "metric": 1, "direction": 1, "value": %s}]}' % ("9" * 400)
STRANGE = ["", "[]", "{}", "[1]", '{"rows": 3}', '{"rows": [3]}', "no JSON", "[" * 99_999, HUGE]


@pytest.mark.parametrize("text", STRANGE)
def test_measures_that_cannot_be_read_are_none(text: str, tmp_path: Path):
    (tmp_path / METRICS).write_text(text)
    assert measures(tmp_path) == measures(None) == "There are no measures of these weights here."


def test_a_card_asks_no_other_host_for_anything(tmp_path: Path):
    (tmp_path / "README.md").write_text(CARD)
    text = card(tmp_path)
    for word in ("license", "made by", "badge", "<img", "spy"):
        assert word not in text
    assert text.startswith("### UNIT")
    assert "#### Limits\nFew." in text
    assert "[a page](https://example.com)" in text  # a link is followed by those who want to


@pytest.mark.parametrize(
    "trick",
    [
        "<<b>img src=//spy.example>",
        "![a [b] c](//spy.example)",
        "![spy]",
        "!![x][[y](//spy.example)",
        "!!![](a)[x](//spy.example)",
        "!<b>[x](//spy.example)",
        "<img src=x",
    ],
)
def test_a_card_that_tries_to(trick: str, tmp_path: Path):
    (tmp_path / "README.md").write_text(f"A card. {trick}\n\n[spy]: https://spy.example/x.gif\n")
    told = [card(tmp_path)]
    (tmp_path / "examples").mkdir()
    (tmp_path / "README.md").rename(tmp_path / "examples" / "README.md")
    for text in (*told, credits(tmp_path)):
        assert text.startswith("A card.")
        assert "<" not in text
        assert "![" not in text


@pytest.mark.parametrize("trick", ["<!--", "<a", "![", "![x](", "---\n"])
def test_a_card_that_takes_long_to_read(trick: str, tmp_path: Path):
    (tmp_path / "README.md").write_text(trick * 40_000)
    start = time.monotonic()
    card(tmp_path)
    assert time.monotonic() - start < 2


def test_no_card_is_no_text(tmp_path: Path):
    assert card(None) == card(tmp_path) == credits(None) == credits(tmp_path) == ""


def test_what_matters_most_is_seen_and_the_rest_is_folded_away(tmp_path):
    rows = [
        {"metric": metric, "direction": "summer → winter", "of": "translated", "value": 0.5}
        for metric in ("FID", "KID", "weave in smooth regions", "success (linear probe)")
    ]
    results = {"features": "Lite2", "data": "yosemite", "size": 64, "rows": rows}
    (tmp_path / "metrics.json").write_text(json.dumps(results))
    seen, folded = measures(tmp_path).split("<details>")
    assert [metric in seen for metric in ("KID", "success", "FID", "weave")] == [True, True, False, False]
    assert [metric in folded for metric in ("KID", "success", "FID", "weave")] == [False, False, True, True]
