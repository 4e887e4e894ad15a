"""What differs between a stored run and the machine it is to run on now."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from mps_experiments.config import Config, WorkloadConfig
from mps_experiments.machine.facts import collect_facts
from mps_experiments.machine.gpus import FixedProbe
from mps_experiments.plan import RunPlan, build_plan
from mps_experiments.record import Measurement
from mps_experiments.replay.circumstances import difference_lines
from tests.fakes.plans import FAKE_GPU
from tests.records import make_measurement

PROBE = FixedProbe((FAKE_GPU,))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "w.pth"
    path.write_bytes(b"weights")
    return path


def pair(weights: Path) -> tuple[Measurement, RunPlan]:
    """A run, and the same as it would be made here and now."""
    config = Config(workload=WorkloadConfig(weights=str(weights)))
    plan = build_plan(config, PROBE, Path("/runs"))
    stored = replace(
        make_measurement(
            inputs=plan.workloads[0].inputs,
            weights=str(weights),
            device=FAKE_GPU.uuid,
            warmup="auto",
            window="kept",
            cpu_affinity="none",
        ),
        machine=collect_facts(PROBE, FAKE_GPU),
        weights_file_sha256=hashlib.sha256(b"weights").hexdigest(),
    )
    return stored, plan


def test_on_the_same_machine_nothing_differs(weights: Path) -> None:
    assert list(difference_lines([pair(weights)], PROBE)) == []


def test_gpu_driver_versions_code_host_and_files_are_each_a_line_once(weights: Path) -> None:
    stored, plan = pair(weights)
    machine = stored.machine
    other = replace(
        stored,
        weights_file_sha256="ab" * 32,
        machine=replace(
            machine,
            hostname="elsewhere",
            driver_version="1.0",
            source_sha256="0" * 64,
            packages=machine.packages | {"torch": "1.0"},
            gpu=replace(FAKE_GPU, uuid="GPU-other"),
        ),
    )
    lines = list(difference_lines([(other, plan), (other, plan)], PROBE))
    assert [line.removeprefix("differs: ").partition(" (")[0] for line in lines] == [
        *("code", "content of the weights", "host", "gpu", "driver", "packages"),
    ]
    assert "(elsewhere against " in " ".join(lines)
    assert '{"torch": "1.0"}' in " ".join(lines)


def test_other_work_is_named_first(weights: Path) -> None:
    stored, plan = pair(weights)
    cell = stored.cell.moved(
        model="resnet50",
        weights="default",
        warmup=9,
        cpu_affinity="auto",
        window="fixed",
    )
    lines = list(difference_lines([(replace(stored, cell=cell), plan)], PROBE))
    assert [line.removeprefix("differs: ").partition(" (")[0] for line in lines] == [
        *("model", "weights", "warmup", "cpu_affinity", "window"),
    ]
    assert "model (resnet50 against maskrcnn_resnet50_fpn)" in lines[0]
