"""README and docs/: links lead somewhere, commands are there, and figures are those of the model cards."""

import re
from pathlib import Path

import pytest

from train.__main__ import COMMANDS
from train.config import presets

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page in an address."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8"))
    for path, anchor in links:
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name}: {path}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {path}#{anchor}"


@each_page
def test_what_train_is_asked_for_is_there(page):
    asked = set(re.findall(r"-m train ([a-z]\w+)", page.read_text(encoding="utf-8")))
    assert asked <= {*COMMANDS, *presets("")}


def test_readme_is_short():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.split()) <= 1000


def test_results_are_those_of_the_cards():
    """A model that is measured anew changes docs/results.md, too."""
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    for folder in sorted((ROOT / "checkpoints").glob("*/")):
        section = page.partition(f"evaluate checkpoints/{folder.name} ")[2].partition("\n#")[0]
        rows = re.findall(r"^\| .* n=\d+.*$", section, re.MULTILINE)
        assert len(rows) >= 8
        assert set(rows) <= set((folder / "metrics.md").read_text(encoding="utf-8").splitlines())
