"""python -m unit onnx"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from unit.cli.errors import UsageError
from unit.cli.files import check_writable
from unit.cli.options import Flag, Revision, Target, load_ours


@dataclass(frozen=True)
class Onnx:
    """Write one direction of a model as an ONNX file, which runs without PyTorch.

    the file:
      It takes a picture of any size and translates it in one piece; with --noise it takes the noise, too, and that of
      a model with styles takes the style. The weights are float32. The file is tried with ONNX Runtime on pictures of
      two sizes, and is not written unless they are those of PyTorch. docs/hosting.md has an example of ten lines that
      uses it.
    """

    checkpoint: Annotated[Positional[str], arg(metavar="CHECKPOINT")]
    """Folder or Hub repository owner/name."""
    out: Annotated[Positional[Path], arg(metavar="OUT.onnx")]
    """The file to write."""
    to: Target
    noise: Flag = False
    """Give the file an input for noise, which is added to the code of the photo; for models without styles."""
    revision: Revision = None

    def run(self) -> int:
        # Imported here because nothing else needs it, and to be quick is what --help is for.
        from unit.onnx import export

        model = load_ours(self.checkpoint, self.revision)
        if self.to not in model.config.domains:
            raise UsageError(f"--to {self.to}: this model draws {' and '.join(model.config.domains)}.")
        check_writable(self.out.parent)
        print(export(model, self.out, self.to, self.noise))
        return 0
