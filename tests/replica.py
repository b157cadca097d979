"""Run by test_parallel under torchrun: this process's whole state goes to OUT/step-N-rank-R.safetensors.

python -m torch.distributed.run --nproc-per-node 2 -m tests.replica DATA OUT '{"steps": 3}'   (or without torchrun)
"""

import json
import sys
from pathlib import Path

from safetensors.torch import save_file

from tests.test_parallel import make_config
from train.data.batches import batches
from train.parallel import processes, rank, world
from train.state import TrainState
from train.step import train_step


def main(data: str, out: Path, options: dict) -> None:
    config = make_config(data, out / "run", **options)
    with processes("cpu") as device:
        state = TrainState.build(config, device)
        for x_a, x_b, _ in batches(config, 0, rank(), world()):
            train_step(state, x_a, x_b)
            tensors = {name: tensor.detach().contiguous() for name, tensor in state.tensors().items()}
            save_file(tensors, out / f"step-{state.step}-rank-{rank()}.safetensors")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3]))
