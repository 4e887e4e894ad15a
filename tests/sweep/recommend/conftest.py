"""A machine with a GPU that is not there, 16 cores, and the stand-ins for NVIDIA's programs."""

from collections.abc import Iterator

import pytest

from mps_experiments.config.schema import Config
from mps_experiments.machine.gpus import FixedProbe
from tests.fakes.plans import FAKE_GPU, use_fakes
from tests.sweep.recommend.stored_records import Cells, Truth

ON_GPU = FixedProbe((FAKE_GPU,))
CUSTOM = ("workload=custom", "workload.factory=tests.fakes.moody:build")
GRID = ("procs=1,4,8", "mps=off,on", "times=auto", "window_s=5")
SHARED_MS = {1: 4.0, 4: 4.4, 8: 8.7}  # under MPS; eight do hardly more than four


@pytest.fixture(scope="module", autouse=True)
def gpu_machine() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.sched_getaffinity", lambda _: set(range(16)))
        use_fakes(patch)
        yield


@pytest.fixture(scope="module")
def cells(gpu_machine: None) -> Cells:
    return Cells.of([*CUSTOM, *GRID], ON_GPU)


def truth(config: Config) -> Truth:
    """Time-sliced, all take turns; under MPS four run at once."""
    turns_ms = 4.0 * config.procs * (0.9 if config.procs > 1 else 1)
    latency_ms = SHARED_MS[config.procs] if config.mps.enabled else turns_ms
    return Truth(latency_ms, memory_gib=3.0 * config.procs)
