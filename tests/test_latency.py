"""python -m unit benchmark: a table with the rows asked for, of numbers that agree with each other."""

import dataclasses
import importlib.util
import os
import re
import shutil

import pytest
import torch

from train.config import presets
from unit import UNIT, Translator, UNITConfig
from unit import latency as benchmark
from unit.__main__ import main
from unit.models import MUNIT, MUNITConfig

ROW = re.compile(r"\| (.+) \| (\d+ x \d+) \| (.+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d.]+) \| (\d+) \|")


def rows(output: str) -> list[tuple[str, ...]]:
    return [match.groups() for match in map(ROW.fullmatch, output.splitlines()) if match]


def test_a_quick_run(tiny_checkpoint, capsys):
    command = ["benchmark", "--quick", "--model", str(tiny_checkpoint), "--sizes", "40x24", "16x16", "--seconds", "1"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].count(", ") >= 5  # the machine
    found = rows(out)
    ways = [benchmark.PLAIN]
    if benchmark.best_dtype(benchmark.CPU) == torch.bfloat16:
        ways.append("eager bf16")
    assert [row[:3] for row in found] == [
        (tiny_checkpoint.name, size, way) for size in ("40 x 24", "16 x 16") for way in ways
    ]
    assert all(row[6:] == ("1.00", "0") for row in found if row[2] == benchmark.PLAIN)


def test_numbers_agree():
    model = UNIT(UNITConfig(dim=16, n_res=1))
    ways = {benchmark.PLAIN: Translator(model, "cpu", torch.float32), "again": Translator(model, "cpu", torch.float32)}
    table = benchmark.measure("m", ways, (64, 48), seconds=2, rounds=3)
    plain = table[0]
    assert plain.way == benchmark.PLAIN
    assert (plain.ratio, plain.difference) == (1, 0)
    for row in table:
        assert min(row.encode, row.decode, row.translate) > 0
        assert row.ratio == pytest.approx(plain.translate / row.translate)
        assert row.difference == 0


@pytest.mark.parametrize("layout", ["munit-compact", "munit"])
def test_networks_of_a_munit_that_are_taken_apart_draw_the_same(layout):
    """In the mean style, at a size they were not made for."""
    torch.manual_seed(0)
    model = MUNIT(MUNITConfig(layout=layout, dim=4, n_res=1, mlp_dim=8))
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn(p.shape))
    plain = Translator(model, "cpu", torch.float32)
    apart = benchmark._translator(model, lambda net, x, multiple: torch.inference_mode()(net))
    for row in benchmark.measure("tiny", {benchmark.PLAIN: plain, "apart": apart}, (37, 50), seconds=0):
        assert row.difference <= 1, row


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which(os.environ.get("CXX", "g++")), reason="needs a C++ compiler")
@pytest.mark.parametrize("model", [UNIT(UNITConfig(dim=4, n_res=1, channels_a=1)), MUNIT(MUNITConfig(dim=4, n_res=1))])
def test_built_networks_draw_the_same(model):
    """At sizes they were not built with, and whatever of the runtimes is installed."""
    ways = benchmark.ways(model, notes := [])
    assert "torch.compile fp32" in ways, notes
    for size in ((37, 50), (64, 64)):
        for row in benchmark.measure("tiny", ways, size, seconds=0):  # bf16, where there is any, has 8 bits to round to
            assert row.difference <= (1 if row.way.endswith("fp32") else 8), row


def test_what_cannot_be_had_is_said(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("CXX", "no-such-compiler")
    lines = list(benchmark.benchmark({"tiny": UNIT(UNITConfig(dim=4, n_res=1))}, [(16, 16)], seconds=1))
    text = "\n".join(lines)
    assert "no a C++ compiler" not in text
    for name in ("torch.compile", "ONNX Runtime", "OpenVINO"):
        assert re.search(f"- {name} fp32: left out", text)


def test_a_way_that_fails_does_not_end_the_others(monkeypatch):
    def fail(*arguments):
        raise RuntimeError("no such operator\nand a long trace")

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    for build in ("_compiled", "_onnxruntime", "_openvino"):
        monkeypatch.setattr(benchmark, build, fail)
    notes: list[str] = []
    assert benchmark.PLAIN in benchmark.ways(UNIT(UNITConfig(dim=4, n_res=1)), notes)
    assert "- ONNX Runtime fp32: RuntimeError, no such operator" in notes


def test_layouts_are_the_trainers(capsys):
    models = [config.model for _, config in presets("").values()]
    assert {model.layout: dataclasses.replace(model, aligned=False) for model in models} == benchmark.CONFIGS
    assert main(["benchmark", "--quick", "--layouts", "compact", "--sizes", "16x16", "--seconds", "0.1"]) == 0
    assert {row[0] for row in rows(capsys.readouterr().out)} == {"compact"}


@pytest.mark.slow
def test_the_page_is_measured():
    """With the shipped model, whose page answers within ten seconds on a quiet machine; here only that it does."""
    answers, first, memory, again = benchmark.page(size=(64, 48), calls=2)
    assert 0 < float(re.fullmatch(r"- `python app\.py` answers after ([0-9.]+) s\.", answers)[1]) < 200
    assert re.fullmatch(r"- /translate of 64x48 pixels: [0-9.]+ s the first time\.", first)
    idle, more = (
        int(n.replace(",", "")) for n in re.search(r"([0-9,]+) MB idle, at most ([0-9,]+) MB", memory).groups()
    )
    assert idle > 100 > more >= 0
    times, whole, rest, share = map(int, re.search(r"(\d+) times: (\d+) ms, (\d+) of it \((\d+)%\)", again).groups())
    assert times == 2
    assert 0 <= rest < whole  # 0 where the drawing beside it was slow, as on busy cores
    assert share == pytest.approx(100 * rest / whole, abs=1)
