"""NVML is asked once, and may hang or break."""

import contextlib
import threading
from collections.abc import Iterator

import pynvml
import pytest

from mps_experiments.doctor.gpu import Sight, look
from mps_experiments.machine.gpus import FixedProbe, Gpu, GpuProbe, GpuProcess
from tests.doctor.conftest import CUDA, DRIVER, H100, DriverProbe, opened


def test_what_nvml_tells_is_kept() -> None:
    process = GpuProcess(pid=4711, memory_bytes=10**9)
    assert look(opened(DriverProbe(processes=(process,))), 60.0) == Sight(
        gpus=(H100,),
        driver_version=DRIVER,
        cuda_version=CUDA,
        processes={H100.uuid: (process,)},
        memory_used_bytes={H100.uuid: 10**9},
    )


def test_without_a_driver_there_is_nothing_and_no_problem() -> None:
    assert look(opened(FixedProbe()), 60.0) == Sight()


def test_an_nvml_that_hangs_is_a_problem() -> None:
    release = threading.Event()

    @contextlib.contextmanager
    def hang() -> Iterator[GpuProbe]:
        release.wait(60)
        yield FixedProbe()

    try:
        assert look(hang, 0.2) == Sight(problem="no answer within 0.2 s")
    finally:
        release.set()


@pytest.mark.parametrize("code", [pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_UNKNOWN])
def test_an_nvml_that_breaks_is_a_problem_with_its_reason(code: int) -> None:
    class Lost(FixedProbe):
        def gpus(self) -> tuple[Gpu, ...]:
            raise pynvml.NVMLError(code)

    problem = look(opened(Lost()), 60.0).problem
    assert problem.startswith("NVMLError")
    assert problem != "NVMLError"
