"""What of a record becomes params, metrics and tags; pure. Units are in the names."""

import json
import math
from collections import Counter
from collections.abc import Sequence

from mps_experiments.analysis.metrics import logged_values
from mps_experiments.record.axes import AXES, FACTORS, Role
from mps_experiments.record.measurement import Measurement
from mps_experiments.tracking.fault_fields import fault_metrics, fault_params, fault_tags

_OF_A_SWEEP = ("gpu", "driver", "torch", "host", "mps_experiments", "git_commit")
_ALWAYS = ("window", "repeat")  # worth a filter though they have a usual value
_MAX_PARAM = 500  # characters that every MLflow server takes; newer ones take 6,000
_MAX_TAG = 5000  # likewise; newer ones take 8,000. Both cut without a word.


def cut(text: str, most: int = _MAX_TAG) -> str:
    """Shorten a value that MLflow would not take, with a mark; the record among the artifacts has all of it.

    >>> cut("x" * 812, 34)
    'xxxxxxxxx... (cut, 812 characters)'
    """
    mark = f"... (cut, {len(text)} characters)"
    return text if len(text) <= most else text[: most - len(mark)] + mark


def params_of(measurement: Measurement) -> dict[str, str]:
    """Return what one would filter by: every axis that has something to say of the run."""
    cell, gpu = measurement.cell, measurement.machine.gpu
    values: dict[str, object] = {
        axis.name: cell.axes[axis.name]
        for axis in AXES
        if axis.role is Role.FACTOR or axis.name in _ALWAYS or cell.axes[axis.name] != axis.usual
    }
    values["device"] = gpu.name if gpu else "cpu"
    if cell.inputs:
        values["input"] = ",".join(image.name for image in cell.inputs)
    else:  # a workload of the user's own has weights and inputs that we do not know
        del values["weights"], values["seed"]
    if cell.options:
        values["options"] = json.dumps(cell.options, sort_keys=True, default=str)
    values.pop("trial", None)
    values |= fault_params(measurement)
    return {key: cut(str(value), _MAX_PARAM) for key, value in values.items()}


def metrics_of(measurement: Measurement) -> dict[str, float]:
    """Return what one would sort by; empty unless the run is VALID: no other run has numbers."""
    if not measurement.is_ordinary:
        return fault_metrics(measurement)
    figures = measurement.statistics()
    if figures is None:
        return {}
    metrics = logged_values(measurement) | _evidence(measurement)
    axes = measurement.cell.axes  # numbers are metrics, too: MLflow sorts params as text
    metrics |= {f"cell/{each.name}": axes[each.name] for each in FACTORS if isinstance(axes[each.name], int)}
    metrics |= {
        f"overhead/{name}_s": seconds
        for name, seconds in measurement.phases_s.items()
        if name != "measured_window"
    }
    for worker in measurement.workers:
        prefix = f"worker_{worker.rank}"
        metrics[f"{prefix}/elapsed_s"] = figures.elapsed_s[worker.rank]
        if worker.gpu_memory_bytes is not None:
            metrics[f"{prefix}/gpu_memory_mib"] = worker.gpu_memory_bytes / 2**20
    done = [worker.done for worker in measurement.workers if worker.done is not None]
    metrics |= _largest_mib("peak_rss", [each.peak_rss_bytes for each in done])
    metrics |= _largest_mib("torch_peak", [each.peak_memory_reserved_bytes for each in done])
    return metrics


def _evidence(measurement: Measurement) -> dict[str, float]:
    """Return what explains the figures beyond the table of metrics: by worker, and of their outputs."""
    metrics = _cpu_metrics(measurement)
    if measurement.parity is not None and measurement.parity.compared:
        metrics["output/largest_difference"] = measurement.parity.largest
    return {name: value for name, value in metrics.items() if value is not None and math.isfinite(value)}


def _cpu_metrics(measurement: Measurement) -> dict[str, float | None]:
    metrics: dict[str, float | None] = {}
    for worker in measurement.workers:
        if worker.samples is None or worker.done is None or worker.done.cpu is None:
            continue
        used, prefix = worker.done.cpu, f"worker_{worker.rank}"
        metrics[f"{prefix}/cores_used"] = used.cpu_s / worker.samples.at_work_s
        metrics[f"{prefix}/core_wait_s"] = used.run_queue_wait_s
    return metrics | _sums(measurement)


def _sums(measurement: Measurement) -> dict[str, float | None]:
    """Return the sums over all workers, where each of them told: nobody sorts by one worker's."""
    uses = [worker.done.cpu for worker in measurement.workers if worker.done and worker.done.cpu]
    if not uses or len(uses) < len(measurement.workers):
        return {}
    return {
        "workers/cpu_s": sum(used.cpu_s for used in uses),
        "workers/voluntary_switches": sum(used.voluntary_switches for used in uses),
        "workers/involuntary_switches": sum(used.involuntary_switches for used in uses),
    }


def _largest_mib(name: str, known: Sequence[int | None]) -> dict[str, float]:
    """Return the largest of the workers' values in bytes; nothing where none told."""
    values = [value for value in known if value is not None]
    return {f"workers/{name}_max_mib": max(values) / 2**20} if values else {}


def tags_of(measurement: Measurement) -> dict[str, str]:
    """Return what explains a run: verdict, machine, provenance."""
    machine, proof = measurement.machine, measurement.proof
    facts = next((worker.facts for worker in measurement.workers if worker.facts), None)
    tags: dict[str, object] = {
        "record_id": measurement.record_id,
        "sweep_id": measurement.sweep_id,
        "verdict": measurement.verdict.status.value,
        "verdict_reason": measurement.verdict.reason,
        "proof": f"{proof.expected}, seen {proof.method}" if proof and proof.method and machine.gpu else None,
        "contended": "; ".join(measurement.contended) or "no",
        "notes": "; ".join(measurement.notes) or None,
        "host": machine.hostname,
        "gpu": machine.gpu.name if machine.gpu else "none",
        "gpu_uuid": machine.gpu.uuid if machine.gpu else None,
        "driver": machine.driver_version,
        "torch": machine.packages.get("torch"),
        "mps_experiments": machine.mps_experiments,
        "git_commit": machine.git_commit,
        "git_dirty": machine.git_dirty,
        "overrides": " ".join(measurement.overrides) or None,
        "weights_sha256": facts.weights_sha256 if facts else None,
        "norm_layer": facts.torch_facts.get("norm_layer") if facts else None,
        "findings": "; ".join(f"{each.severity.value}: {each.text}" for each in measurement.findings) or None,
        "missing": "; ".join(measurement.missing) or None,
    }
    known = {key: str(value) for key, value in tags.items() if value is not None}
    known |= fault_tags(measurement)
    return {key: cut(text) for key, text in known.items()}


def sweep_tags(measurements: Sequence[Measurement]) -> dict[str, str]:
    """Return what a sweep's runs have in common, and how many have which verdict."""
    verdicts = Counter(measurement.verdict.status.value for measurement in measurements)
    known = [tags_of(measurement) for measurement in measurements]
    shared = {
        key: ", ".join(dict.fromkeys(tags[key] for tags in known if key in tags)) for key in _OF_A_SWEEP
    }
    counted = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common())
    return {key: text for key, text in (shared | {"verdict": counted}).items() if text}
