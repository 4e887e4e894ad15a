"""All checks in a row, and those that hang or break."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pynvml
import pytest

from mps_experiments.config.schema import Config, TrackingConfig
from mps_experiments.machine.gpus import GpuProbe
from mps_experiments.sweep.doctor.checkup import OpenGpus, examine, findings_of
from mps_experiments.sweep.doctor.finding import Finding, Level, ok
from tests.fakes.plans import use_fakes
from tests.sweep.doctor.conftest import DriverProbe, opened

ALWAYS = ["Python", "cores", "memory", "environment", "GPU"]
OF_THE_GPU = ["GPU memory", "GPU processes", "other sweeps", "mps=off", "mps=on"]
REST = ["torch", "output folder", "tracking store"]


def examined(folder: Path, open_gpus: OpenGpus, device: str = "auto") -> dict[str, Finding]:
    config = Config(output_dir=str(folder / "outputs"), device=device, tracking=TrackingConfig(enabled=False))
    findings = list(examine(config, True, open_gpus, folder))
    assert list(folder.iterdir()) == []
    return {finding.name: finding for finding in findings}


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    use_fakes(monkeypatch)


def test_with_a_gpu_every_check_has_its_line_in_order(tmp_path: Path) -> None:
    names = [each for each in examined(tmp_path, opened(DriverProbe())) if each != "foreign daemons"]
    assert names == ["driver", *ALWAYS, *OF_THE_GPU, "MPS tried", *REST]


def test_what_a_sweep_would_refuse_costs_only_what_needs_it(tmp_path: Path) -> None:
    found = examined(tmp_path, opened(DriverProbe()), device="cuda:7")
    assert list(found) == ["driver", *ALWAYS, *REST[1:]]
    assert found["GPU"].level is Level.FAIL
    assert found["GPU"].todo == "device=cpu runs without one"


def test_an_nvml_that_breaks_is_one_line_with_its_reason(tmp_path: Path) -> None:
    def lost() -> AbstractContextManager[GpuProbe]:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)

    driver = examined(tmp_path, lost, device="cuda")["driver"]
    assert driver.level is Level.FAIL
    assert driver.found.startswith("cannot be looked at (NVMLError")


def test_a_check_that_hangs_is_left_behind_and_what_it_found_is_kept() -> None:
    release = threading.Event()

    def hang() -> Iterator[Finding]:
        yield ok("disk", "one")
        release.wait(60)

    first, second = findings_of("disk", hang, 0.2)
    release.set()
    assert (first.found, second.level, second.found) == ("one", Level.FAIL, "no answer within 0.2 s")
