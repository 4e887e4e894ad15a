"""What the traced pass shows of real models on a real GPU, and the causes that follow from it."""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mps_experiments.analysis.comparison import TOO_FAST
from mps_experiments.analysis.explanation import Explanation, explain
from mps_experiments.analysis.gpu_limits import Cause
from mps_experiments.config.schema import CpuAffinity
from mps_experiments.mps.guardian import Guardian
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.overlap import Activity
from mps_experiments.record.verdict import Status
from mps_experiments.record.workload import WorkloadSpec
from mps_experiments.workloads.inputs import resolve_inputs
from tests.fakes.plans import CHECKOUT, run_plan
from tests.fakes.running import Lab, assert_nothing_is_left, open_lab

pytestmark = pytest.mark.gpu

TRACE = {"iterations": 3, "min_s": 0.1}
_ATTEMPTS = 3
MASK_RCNN = WorkloadSpec(
    kind="torchvision", model="maskrcnn_resnet50_fpn", inputs=resolve_inputs("sample"), synchronize="stream"
)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Guardian() as guardian, open_lab(guardian, real=True) as opened:
        yield opened


def made(kind: str) -> WorkloadSpec:
    """A workload whose limit is known."""
    factory = "examples.causes:build"
    return WorkloadSpec(
        kind="custom",
        model=factory,
        factory=factory,
        import_path=str(CHECKOUT),
        options={"kind": kind},
        synchronize="device",
    )


def measured(lab: Lab, folder: Path, spec: WorkloadSpec, procs: int, times: int, *, mps: bool) -> Measurement:
    """A VALID run, each worker on a core of its own, telemetry as by default."""
    plan = run_plan(
        folder,
        *[spec] * procs,
        gpu=lab.gpu,
        times=times,
        mps={"enabled": mps},
        workers={"cpu_affinity": CpuAffinity.auto, "warmup": 2},
        trace=TRACE,
    )
    measurement = lab.run(replace(plan, telemetry_interval_s=0.1)).measurement
    assert measurement.verdict.status is Status.VALID, measurement.verdict.reason
    assert not [text for text in measurement.missing if not text.startswith("telemetry")]
    assert_nothing_is_left(measurement)
    return measurement


def activity(measurement: Measurement) -> Activity:
    assert measurement.activity is not None
    assert measurement.activity.on_gpu
    return measurement.activity


@pytest.mark.parametrize(("mps", "low", "high"), [(False, 0.0, 0.05), (True, 0.1, 1.0)])
def test_kernels_of_two_mask_rcnn_overlap_only_with_mps(
    lab: Lab, tmp_path: Path, mps: bool, low: float, high: float
) -> None:
    measurement = measured(lab, tmp_path, MASK_RCNN, 2, 5, mps=mps)
    found = activity(measurement)
    assert low <= found.overlap_share < high
    assert found.tells_overlap(mps)
    for worker in found.workers:
        assert 5_000 <= worker.operations <= 7_000
        parts = worker.running_s + worker.behind_others_s + worker.waiting_idle_s + worker.host_s
        assert parts == pytest.approx(worker.iteration_s)
        assert worker.sm_fill is not None
        assert 0 < worker.sm_fill <= 1
    assert measurement.parity is not None
    assert (measurement.parity.identical, measurement.parity.largest) == (True, 0.0)
    outputs = [worker.output for worker in measurement.workers]
    assert outputs[0]
    assert outputs[0] == outputs[1]

    events = json.loads(gzip.decompress((tmp_path / "trace.json.gz").read_bytes()))["traceEvents"]
    kernels = Counter(event["pid"] for event in events if event.get("cat") == "kernel")
    assert set(kernels) == {worker.pid for worker in measurement.workers}
    assert all(count > 3 * 4_000 for count in kernels.values())
    assert (tmp_path / "timeline.png").stat().st_size > 10_000


def test_retinanet_launches_the_kernels_of_the_network_that_is_deployed(lab: Lab, tmp_path: Path) -> None:
    """A frozen batch norm is seven element-wise kernels, an ordinary one is one; ResNet-50 has 53."""
    operations = {}
    for norm_layer, built_with in (("auto", "FrozenBatchNorm2d"), ("batch", "BatchNorm2d")):
        spec = replace(MASK_RCNN, model="retinanet_resnet50_fpn", norm_layer=norm_layer)
        measurement = measured(lab, tmp_path / norm_layer, spec, 1, 5, mps=False)
        (worker,) = activity(measurement).workers
        operations[norm_layer] = worker.operations
        facts = measurement.workers[0].facts
        assert facts is not None
        assert built_with in facts.torch_facts["norm_layer"].split(", ")
    assert operations["auto"] - operations["batch"] == pytest.approx(53 * (7 - 1), abs=20)


def explained(lab: Lab, folder: Path, kind: str, times: int, *, mps: bool) -> tuple[Explanation, Measurement]:
    """Two processes against one, both with a window of about a second or more.

    Where something slowed the one process, both are repeated, as the explanation then advises.
    """
    for attempt in range(_ATTEMPTS):
        one = measured(lab, folder / f"one-{attempt}", made(kind), 1, times, mps=mps)
        two = measured(lab, folder / f"two-{attempt}", made(kind), 2, times, mps=mps)
        alone, together = one.statistics(), two.statistics()
        assert alone is not None
        assert together is not None
        assert alone.makespan_s > 0.5, "too short for the energy counter and for NVML's averages"
        if together.pace_s > TOO_FAST * alone.pace_s:
            break
    explanation = explain(two, one)
    assert explanation is not None
    return explanation, two


def test_workers_that_launch_tiny_kernels_are_limited_by_the_host(lab: Lab, tmp_path: Path) -> None:
    explanation, two = explained(lab, tmp_path, "tiny_kernels", 300, mps=True)
    assert explanation.cause is Cause.HOST, explanation.text
    for worker in activity(two).workers:
        assert worker.operations == pytest.approx(1000, abs=10)


def test_workers_that_multiply_matrices_are_limited_by_the_multiprocessors(lab: Lab, tmp_path: Path) -> None:
    explanation, two = explained(lab, tmp_path, "matrix_product", 70, mps=True)
    assert explanation.cause is Cause.MULTIPROCESSORS, explanation.text
    assert activity(two).long_share > 0.9


def test_without_mps_matrix_products_are_time_sliced_and_tell_of_no_overlap(lab: Lab, tmp_path: Path) -> None:
    explanation, two = explained(lab, tmp_path, "matrix_product", 70, mps=False)
    assert explanation.cause is Cause.TIME_SLICED, explanation.text
    assert not activity(two).tells_overlap(False)
