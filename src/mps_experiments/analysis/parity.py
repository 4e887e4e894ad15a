"""Compare the outputs of the cells' first workers: did they compute the same? Pure."""

import json
import math
from collections import defaultdict
from collections.abc import Sequence

from mps_experiments.record.measurement import Measurement
from mps_experiments.record.outputs import ATOL, RTOL, OutputDifference, OutputDigest, compare_outputs


def output_references(measurements: Sequence[Measurement]) -> dict[str, Measurement]:
    """Return record id -> the run whose output it is compared with, for each VALID ordinary run.

    Runs with MPS are compared with runs without: the reference is an off-run with one process if there is
    one, else any, the earliest of several. It is its own reference. A run without MPS sees the whole GPU:
    under an SM cap products were seen to be wrong.
    """
    by_workload: dict[str, list[Measurement]] = defaultdict(list)
    for measurement in filter(lambda m: m.is_ordinary, measurements):
        if measurement.verdict.is_valid and _output(measurement) is not None:
            by_workload[_workload_key(measurement)].append(measurement)
    return {m.record_id: min(group, key=_rank) for group in by_workload.values() for m in group}


def output_differences(measurements: Sequence[Measurement]) -> dict[str, OutputDifference]:
    """Return record id -> how far its output lies from that of its reference."""
    references = output_references(measurements)
    compared = ((m, references.get(m.record_id)) for m in measurements)
    return {
        m.record_id: found for m, reference in compared if reference and (found := _compare(reference, m))
    }


def worst_difference(
    references: Sequence[Measurement], others: Sequence[Measurement]
) -> OutputDifference | None:
    """Return the largest difference between any two runs of the two; None if no pair has outputs."""
    found = [difference for a in references for b in others if (difference := _compare(a, b))]
    return max(found, key=lambda difference: difference.excess, default=None)


def survivor_differences(reference: Measurement, trial: Measurement) -> list[OutputDifference]:
    """Compare what each survivor of a fault computed afterwards with what a process alone computed."""
    one = _output(reference)
    outputs = [worker.output for worker in trial.workers if worker.output]
    return [_difference(one, output, trial) for output in outputs] if one else []


def difference_text(difference: OutputDifference) -> str:
    """Return the difference in words.

    >>> difference_text(OutputDifference(identical=False, largest=0.5, excess=9, where="0.boxes", compared=8))
    'by up to 0.5, most in 0.boxes'
    """
    if difference.identical:
        return "identical"
    if math.isinf(difference.largest):
        return f"no number: {difference.where}"
    return f"by up to {difference.largest:.3g}, most in {difference.where}"


def _compare(reference: Measurement, other: Measurement) -> OutputDifference | None:
    one, two = _output(reference), _output(other)
    return None if one is None or two is None else _difference(one, two, other)


def _difference(one: OutputDigest, two: OutputDigest, measurement: Measurement) -> OutputDifference:
    """Compare two outputs, as tolerantly as the configuration of the run says."""
    validity = measurement.config.get("validity") or {}
    rtol, atol = (
        validity.get("output_rtol", RTOL),
        validity.get("output_atol", ATOL),
    )
    return compare_outputs(one, two, float(rtol), float(atol))


def _output(measurement: Measurement) -> OutputDigest | None:
    return next((worker.output for worker in measurement.workers if worker.rank == 0), None)


def _workload_key(measurement: Measurement) -> str:
    """Return what must be equal for equal outputs to be expected; MPS, processes and driver need not."""
    cell, gpu = measurement.cell, measurement.machine.gpu
    inputs = [image.identity for image in cell.inputs]
    workload = measurement.config.get("workload") or {}
    network = (workload.get("weights_key"), workload.get("norm_layer"))
    name = gpu.name if gpu and cell.device != "cpu" else "cpu"
    values = (cell.work, measurement.weights_file_sha256, network, inputs, name)
    return json.dumps(values, sort_keys=True, default=str)


def _rank(measurement: Measurement) -> tuple[object, ...]:
    cell = measurement.cell
    return (cell.mps != "off" or cell.procs != 1, measurement.started_at, measurement.record_id)
