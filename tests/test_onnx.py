"""python -m unit onnx: the file gives PyTorch's pictures, of any size, and the documented example works as written."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from toy_model import Toy, ToyConfig

import unit.onnx
from unit import UNIT, Translator, UNITConfig, load_pretrained, save_pretrained
from unit.cli import main
from unit.images import to_tensor
from unit.latency import photo
from unit.models import MODELS, MUNIT, MUNITConfig
from unit.models.protocol import Code
from unit.onnx import OPSET, export

ROOT = Path(__file__).parent.parent
EXAMPLE = re.findall(r"```python\n(import numpy.*?)```", (ROOT / "docs/hosting.md").read_text(encoding="utf-8"), re.S)


@pytest.fixture(scope="module")
def model() -> UNIT:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return UNIT(UNITConfig(dim=4, n_res=1, n_res_shared=0, domain_a="summer", domain_b="winter")).eval()


@pytest.fixture(scope="module")
def folder(model: UNIT, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command leaves: the checkpoint, and winter.onnx."""
    folder = tmp_path_factory.mktemp("onnx")
    save_pretrained(model, folder / "seasons")
    assert main(["onnx", str(folder / "seasons"), str(folder / "winter.onnx"), "--to", "winter"]) == 0
    return folder


@pytest.mark.slow
def test_the_documented_example_draws_what_translate_draws(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = EXAMPLE
    assert len([line for line in example.splitlines() if line]) <= 11
    monkeypatch.chdir(folder)
    photo((83, 50)).save("garden.jpg")
    exec(example, {})
    expected = Translator.from_pretrained("seasons", device="cpu", dtype=torch.float32).translate(
        "garden.jpg", "winter"
    )
    with Image.open("garden_winter.png") as drawn:
        assert drawn.size == (83, 50)
        levels = np.abs(np.asarray(drawn, int) - np.asarray(expected, int))
    assert levels.max() <= 1  # where the value lies between two levels
    assert (levels > 0).mean() < 0.01


def test_the_file_says_what_it_takes(folder: Path) -> None:
    import onnx

    file = onnx.load(folder / "winter.onnx")
    onnx.checker.check_model(file, full_check=True)
    assert {entry.version for entry in file.opset_import if not entry.domain} == {OPSET}
    assert {weight.data_type for weight in file.graph.initializer} <= {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64}
    (given,), (result,) = file.graph.input, file.graph.output
    assert (given.name, result.name) == ("photo", "translation")
    one, channels, *sides = given.type.tensor_type.shape.dim
    assert (one.dim_value, channels.dim_value) == (1, 3)
    assert all(side.dim_param for side in sides)


@pytest.mark.slow
def test_noise_is_added_to_the_code(model: UNIT, tmp_path: Path) -> None:
    import onnxruntime

    done = export(model, tmp_path / "summer.onnx", "summer", noise=True)
    assert str(done).startswith(f"{tmp_path / 'summer.onnx'}: winter to summer, ")
    assert done.difference < 0.1
    x, noise = to_tensor(photo((64, 44)), 3), torch.randn(1, 16, 11, 16)
    session = onnxruntime.InferenceSession(done.path)
    (y,) = session.run(None, {"photo": x.numpy(), "noise": noise.numpy()})
    with torch.no_grad():
        expected = model.decode(model.sample_code(model.infer(x, "b"), Code(noise)), "a")
    assert float((torch.from_numpy(y) - expected).abs().max()) < 1e-3


def test_a_file_that_disagrees_is_not_left(folder: Path, tmp_path: Path, monkeypatch) -> None:
    """The exporter gives the file of other weights, as it might if it had a fault."""
    written = SimpleNamespace(save=lambda path: shutil.copy(folder / "winter.onnx", path))
    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: written)
    model = load_pretrained(folder / "seasons")
    assert export(model, tmp_path / "right.onnx", "winter").difference < 0.1
    other = UNIT(model.config)
    with pytest.raises(ValueError, match=r"differ from PyTorch's by \d+\.\d of 256 levels: .*wrong.onnx is not"):
        export(other, tmp_path / "wrong.onnx", "winter")
    assert [path.name for path in tmp_path.iterdir()] == ["right.onnx"]


def test_what_cannot_be_exported_is_said(model: UNIT, tmp_path: Path, monkeypatch, capsys) -> None:
    save_pretrained(model, tmp_path / "seasons")
    command = ["onnx", str(tmp_path / "seasons"), str(tmp_path / "out.onnx"), "--to"]
    assert main([*command, "autumn"]) == 2
    assert capsys.readouterr().err == "--to autumn: this model draws summer and winter.\n"
    monkeypatch.setattr(unit.onnx, "PACKAGES", ("onnx", "no_such_package"))
    assert main([*command, "winter"]) == 1
    assert "install the packages of the extra onnx: pip install" in capsys.readouterr().err
    assert not (tmp_path / "out.onnx").exists()


def styled(layout: Any = "munit-compact") -> MUNIT:
    """Weights that no block starts with, so that the style matters."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        net = MUNIT(MUNITConfig(layout=layout, dim=4, n_res=1, mlp_dim=8, domain_a="cat", domain_b="dog"))
        for p in net.parameters():
            p.add_(0.1 * torch.randn(p.shape))
    return net.eval()


@pytest.mark.slow
def test_a_munit_is_exported_with_its_style_as_the_second_input(tmp_path: Path, capsys) -> None:
    """At a third size, too, and in the style that was given; on the command line as well."""
    import onnx
    import onnxruntime

    net = styled()
    save_pretrained(net, tmp_path / "pets", dtype=torch.float32)
    command = ["onnx", str(tmp_path / "pets"), str(tmp_path / "dog.onnx"), "--to", "dog"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "Pictures of 192 x 144 and 120 x 160 pixels differ from PyTorch's by at most 0.0" in said
    assert "A style is 8 numbers: 0 is the mean" in said
    given = onnx.load(tmp_path / "dog.onnx").graph.input
    assert [each.name for each in given] == ["photo", "style"]
    assert [side.dim_value for side in given[1].type.tensor_type.shape.dim] == [1, 8]
    session = onnxruntime.InferenceSession(tmp_path / "dog.onnx")
    x, translator = to_tensor(photo((64, 40)), 3), Translator(net, "cpu", torch.float32)
    drawn = []
    for style in (translator.mean_style, translator.sample_style(1)):
        (y,) = session.run(None, {"photo": x.numpy(), "style": np.array([style], np.float32)})
        with torch.no_grad():
            expected = net.decode(Code(net.encode(x, "a"), torch.tensor(style).view(1, 8, 1, 1)), "b")
        assert float((torch.from_numpy(y) - expected).abs().max()) < 1e-3
        drawn.append(y)
    assert np.abs(drawn[0] - drawn[1]).max() > 0.05


def test_a_munit_has_no_noise_beside_its_style(tmp_path: Path, capsys) -> None:
    save_pretrained(styled(), tmp_path / "pets")
    assert main(["onnx", str(tmp_path / "pets"), str(tmp_path / "dog.onnx"), "--to", "dog", "--noise"]) == 1
    sentence = "the noise of a model with styles is its style, which the file takes anyway: leave out --noise.\n"
    assert capsys.readouterr().err == sentence
    assert not (tmp_path / "dog.onnx").exists()


def test_a_model_that_cannot_be_exported_is_one_sentence(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(MODELS, "toy", (ToyConfig, Toy))
    save_pretrained(Toy(), tmp_path / "toy")  # type: ignore[arg-type]
    assert main(["onnx", str(tmp_path / "toy"), str(tmp_path / "b.onnx"), "--to", "b"]) == 2
    said = f"{tmp_path / 'toy'} is no UNIT and no MUNIT, and this command knows no other model.\n"
    assert capsys.readouterr().err == said


@pytest.mark.slow
def test_the_published_munit_is_exported(tmp_path: Path) -> None:
    """It looks at the whole picture."""
    assert export(styled("munit"), tmp_path / "out.onnx", "cat").difference < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["compact8", "refined8", "paper", "master2018"])
def test_every_layout_is_exported(layout, tmp_path: Path) -> None:
    """compact: above. The last two look at the whole picture, and have no receptive radius."""
    torch.manual_seed(0)
    config = UNITConfig(layout=layout, dim=4, n_res=1, domain_a="summer", domain_b="winter", channels_b=1)
    assert export(UNIT(config), tmp_path / "out.onnx", "winter").difference < 0.1
