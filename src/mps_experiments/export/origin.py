"""What a reader of an exported experiment should know of the runs it was made from; pure."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from mps_experiments.measurement.verdict import Status
from mps_experiments.record import Measurement


def origin_lines(measurements: Sequence[Measurement]) -> Iterator[str]:
    """Where the runs come from, and which files they read.

    Args:
        measurements: At least one.
    """
    first = measurements[0]
    what = f"run {first.record_id}" if len(measurements) == 1 else f"{len(measurements)} runs"
    moment = time.strftime("%Y-%m-%d", time.gmtime(first.started_at))
    yield f"From {what} of {moment}, {'; '.join(dict.fromkeys(map(_machine, measurements)))}."
    if not any(measurement.verdict.status is Status.VALID for measurement in measurements):
        yield "No run of it was VALID."
    yield from dict.fromkeys(line for measurement in measurements for line in _files(measurement))


def warnings(measurements: Sequence[Measurement]) -> Iterator[str]:
    """What may not work elsewhere, or is not as one would expect."""
    paths = [path for measurement in measurements for path in _paths(measurement)]
    for option, path, _ in dict.fromkeys(paths):
        if Path(path).is_absolute():
            yield f"{option}={path} is a path of one machine; elsewhere, add it to the command line"
    for device in dict.fromkeys(str(measurement.config.get("device")) for measurement in measurements):
        if device.startswith("GPU-"):
            yield f"device={device} is one GPU; elsewhere add device=auto"
    machines = dict.fromkeys(map(_machine, measurements))
    if len(machines) > 1:
        yield f"the runs are of different machines or versions: {'; '.join(machines)}"


def _machine(measurement: Measurement) -> str:
    machine = measurement.machine
    gpu = f"{machine.gpu.name}, driver {machine.driver_version}" if machine.gpu else machine.cpu
    commit = f" ({machine.git_commit[:12]})" if machine.git_commit else ""
    return f"{gpu}, mps_experiments {machine.mps_experiments}{commit}"


def _files(measurement: Measurement) -> Iterator[str]:
    for option, path, sha256 in _paths(measurement):
        yield f"{option}={path} had sha256 {sha256}"
    for worker in measurement.workers[:1]:
        if worker.workload.source_sha256 is not None:
            yield f"the source of {worker.workload.factory} had sha256 {worker.workload.source_sha256}"


def _paths(measurement: Measurement) -> Iterator[tuple[str, str, str]]:
    """Option, path as it was given, and digest of each file that the configuration names."""
    workload = measurement.config.get("workload")
    given = workload if isinstance(workload, dict) else {}
    inputs = given.get("input", "sample")
    names = inputs if isinstance(inputs, list) else [inputs]
    for name, image in zip(names, measurement.cell.inputs, strict=False):
        if image.name != "sample":
            yield "workload.input", str(name), image.sha256
    if measurement.weights_file_sha256 is not None and measurement.cell.inputs:
        weights = str(given.get("weights", measurement.cell.weights))
        yield "workload.weights", weights, measurement.weights_file_sha256
