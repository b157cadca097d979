"""Terminals that go away, and proxies."""

import io
import os
import sys
from pathlib import Path
from typing import TextIO

import pytest

from unit.__main__ import main
from unit.system import no_proxy, print_anything


@pytest.fixture
def unread() -> TextIO:
    """A pipe that nobody reads any more, like that to a `head` that has seen enough."""
    reader, writer = os.pipe()
    os.close(reader)
    return io.TextIOWrapper(os.fdopen(writer, "wb", 0), "ascii", write_through=True)


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_whoever_stops_listening_ends_no_work(name: str, unread: TextIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, name, unread)
    print_anything()
    print("a photo called caf\udce9.jpg", file=getattr(sys, name), flush=True)
    assert getattr(sys, name).fileno() == unread.fileno()


def test_a_command_whose_reader_has_seen_enough_is_done(
    tiny_checkpoint: Path, unread: TextIO, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(sys, "stdout", unread)
    assert main(["info", "--model", str(tiny_checkpoint)]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has this disk that is always full")
def test_a_full_disk_is_still_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        print_anything()
        with pytest.raises(OSError, match="No space left"):
            print("lost", flush=True)
        monkeypatch.undo()
        with pytest.raises(OSError, match="No space left"):
            full.close()  # which tries once more
    assert full.closed


@pytest.mark.parametrize("before", [None, "example.org"])
def test_proxies_are_left_aside_for_a_while(before: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    if before:
        monkeypatch.setenv("no_proxy", before)
    with no_proxy():
        assert os.environ["no_proxy"] == "*"
    assert os.environ.get("no_proxy") == before
