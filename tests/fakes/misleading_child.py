"""A process that computes for a worker: attached to the stand-in for MPS, or with a CUDA context of its own.

``misleading_child.py cpu|cuda``: a line for every line of standard input, until that ends.
"""

import sys
from collections.abc import Callable
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[2])


def main() -> None:
    """Get ready, then compute once for each line."""
    compute = on_gpu() if sys.argv[1] == "cuda" else on_stand_in()
    compute()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        compute()
        sys.stdout.write("done\n")
        sys.stdout.flush()


def on_gpu() -> Callable[[], None]:
    import torch

    matrix = torch.eye(256, device="cuda")

    def compute() -> None:
        _ = matrix @ matrix
        torch.cuda.synchronize()

    return compute


def on_stand_in() -> Callable[[], None]:
    from tests.fakes.client import Attachment

    return Attachment().check


if __name__ == "__main__":
    main()
