"""What of a record becomes params, metrics and tags; pure. Units are in the names."""

import math
import re
from collections import Counter
from collections.abc import Sequence

from mps_experiments.analysis.metrics import logged_values
from mps_experiments.record.axes import AXES, FACTORS, Role, is_number
from mps_experiments.record.measurement import Measurement

_OF_A_SWEEP = ("torch", "host", "mps_experiments", "git_commit")
_ALWAYS = ("window", "repeat")  # worth a filter though they have a usual value
_TOLD_BESIDE = ("options", "device", "fault", "trial")
_IN_EVERY_SWEEP = ("model", *(axis.name for axis in FACTORS))
_NO_NAME = re.compile(r"[^\w.\-/ :]")  # MLflow refuses the whole run for such a name
_MAX_NAME = 250  # characters of a name that MLflow takes
_MAX_PARAM = 500  # characters that every MLflow server takes; newer ones take 6,000
_MAX_TAG = 5000  # likewise; newer ones take 8,000. Both cut without a word.


def cut(text: str, most: int = _MAX_TAG) -> str:
    """Shorten a value that MLflow would not take, with a mark; the record among the artifacts has all of it.

    >>> cut("x" * 812, 34)
    'xxxxxxxxx... (cut, 812 characters)'
    """
    mark = f"... (cut, {len(text)} characters)"
    return text if len(text) <= most else text[: most - len(mark)] + mark


def name_for_mlflow(text: str) -> str:
    """Return a name that MLflow takes.

    >>> name_for_mlflow("options.what?")
    'options.what_'
    """
    return _NO_NAME.sub("_", text)[:_MAX_NAME]


def params_of(measurement: Measurement) -> dict[str, str]:
    """Return what one would filter by: every axis that has something to say of the run, GPU and driver."""
    cell, fault = measurement.cell, measurement.config.get("fault") or {}
    values: dict[str, object] = {
        axis.name: cell.axes[axis.name]
        for axis in AXES
        if (axis.role is Role.FACTOR or axis.name in _ALWAYS or cell.axes[axis.name] != axis.usual)
        and axis.name not in _TOLD_BESIDE
    }
    if cell.inputs:
        values["input"] = ",".join(image.name for image in cell.inputs)
    else:  # a workload of the user's own has weights and inputs that we do not know
        del values["weights"], values["seed"]
    values |= {f"options.{name}": value for name, value in cell.options.items()}
    values |= {"fault": cell.fault} | _gpu_params(measurement)
    if not measurement.is_ordinary:
        values |= {f"fault_{name}": fault[name] for name in ("worker", "at") if name in fault}
        values["fault_trial"] = cell.trial
    return {name_for_mlflow(key): cut(str(value), _MAX_PARAM) for key, value in values.items()}


def _gpu_params(measurement: Measurement) -> dict[str, object]:
    machine = measurement.machine
    return {
        "gpu": machine.gpu.name if machine.gpu else "none",
        "driver": machine.driver_version if machine.driver_version else "none",
    }


def metrics_of(measurement: Measurement) -> dict[str, float]:
    """Return what one would sort by; empty unless the run is VALID: no other run has numbers."""
    if not measurement.is_ordinary:
        return _fault_metrics(measurement)
    figures = measurement.statistics()
    if figures is None:
        return {}
    axes, phases_s = measurement.cell.axes, measurement.phases_s
    # Numbers among the factors are metrics, too: MLflow sorts params as text.
    metrics = {f"cell/{each.name}": axes[each.name] for each in FACTORS if is_number(axes[each.name])}
    metrics |= {f"overhead/{name}_s": phases_s[name] for name in phases_s if name != "measured_window"}
    for worker in measurement.workers:
        metrics[f"worker_{worker.rank}/elapsed_s"] = figures.elapsed_s[worker.rank]
        if worker.gpu_memory_bytes is not None:
            metrics[f"worker_{worker.rank}/gpu_memory_mib"] = worker.gpu_memory_bytes / 2**20
    parity = measurement.parity
    if parity is not None and parity.compared and math.isfinite(parity.largest):
        metrics["output/largest_difference"] = parity.largest
    return logged_values(measurement) | metrics | _usage(measurement)


def _usage(measurement: Measurement) -> dict[str, float]:
    """Return what the workers took from the host; a sum over all only where each of them told."""
    metrics: dict[str, float] = {}
    done = [worker.done for worker in measurement.workers if worker.done is not None]
    for name, known in (
        ("peak_rss", [each.peak_rss_bytes for each in done]),
        ("torch_peak", [each.peak_memory_reserved_bytes for each in done]),
    ):
        if largest := max((value for value in known if value is not None), default=None):
            metrics[f"workers/{name}_max_mib"] = largest / 2**20
    for worker in measurement.workers:
        if worker.samples is None or worker.done is None or worker.done.cpu is None:
            continue
        metrics[f"worker_{worker.rank}/cores_used"] = worker.done.cpu.cpu_s / worker.samples.at_work_s
        if worker.done.cpu.run_queue_wait_s is not None:
            metrics[f"worker_{worker.rank}/core_wait_s"] = worker.done.cpu.run_queue_wait_s
    uses = [each.cpu for each in done if each.cpu is not None]
    if uses and len(uses) == len(measurement.workers):
        for name in ("cpu_s", "voluntary_switches", "involuntary_switches"):
            metrics[f"workers/{name}"] = sum(getattr(used, name) for used in uses)
    return metrics


def _fault_metrics(measurement: Measurement) -> dict[str, float]:
    """Return what became of everybody in a run with a fault; empty unless it is VALID."""
    trial, figures = measurement.fault, measurement.survivor_figures()
    if trial is None or not measurement.verdict.is_valid:
        return {}
    newcomer = trial.newcomer
    metrics: dict[str, float | None] = {
        "fault/others": len(trial.neighbours),
        "fault/others_finished": len(trial.survivors),
        "fault/new_client_served": bool(newcomer and newcomer.served_ns is not None),
    }
    if figures is not None:
        metrics["fault/survivor_elapsed_s"] = figures.elapsed_s
        latencies_s = {"latency_before": figures.before_s, "latency_at": figures.at_s}
        latencies_s |= {"latency_after": figures.after_s, "blip": figures.blip_s}
        metrics |= {f"fault/{name}_ms": s * 1e3 for name, s in latencies_s.items() if s is not None}
    if newcomer is not None and newcomer.served_ns is not None:
        metrics["fault/new_client_served_after_s"] = (newcomer.served_ns - newcomer.asked_ns) / 1e9
        if measurement.cell.mps == "on":
            metrics["fault/new_client_without_mps"] = bool(trial.fell_back_silently)
    if trial.memory is not None and trial.leftover_bytes is not None:
        metrics["fault/leftover_mib"] = trial.leftover_bytes / 2**20
    return {name: float(value) for name, value in metrics.items() if value is not None}


def tags_of(measurement: Measurement) -> dict[str, str]:
    """Return what explains a run: verdict, machine, provenance, and of a fault what each worker saw."""
    machine, proof, trial = measurement.machine, measurement.proof, measurement.fault
    facts = next((worker.facts for worker in measurement.workers if worker.facts), None)
    tags: dict[str, object] = {
        "record_id": measurement.record_id,
        "sweep_id": measurement.sweep_id,
        "kind": "twin" if measurement.cell.is_twin else "run" if measurement.is_ordinary else "fault",
        "verdict": measurement.verdict.status.value,
        "verdict_reason": measurement.verdict.reason,
        "proof": f"{proof.expected}, seen {proof.method}" if proof and proof.method and machine.gpu else None,
        "contended": "; ".join(measurement.contended) or "no",
        "notes": "; ".join(measurement.notes) or None,
        "host": machine.hostname,
        "gpu_uuid": machine.gpu.uuid if machine.gpu else None,
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
    if trial is not None:
        tags["server_states"] = " > ".join(state.in_words for state in trial.server_states)
        for fate in trial.fates:
            tags[f"worker_{fate.rank}_end"] = f"{fate.outcome.value} {fate.text}".strip()
    return {key: cut(str(value)) for key, value in tags.items() if value is not None}


def sweep_params(measurements: Sequence[Measurement]) -> dict[str, str]:
    """Return what a sweep measured: model, GPU, driver, and each axis that it swept, as ``procs=1,2,4``."""
    values: dict[str, list[object]] = {
        axis.name: [measurement.cell.axes[axis.name] for measurement in measurements]
        for axis in AXES
        if axis.role is not Role.LABEL and axis.name not in _TOLD_BESIDE
    }
    values = {name: of for name, of in values.items() if name in _IN_EVERY_SWEEP or len({*map(str, of)}) > 1}
    machines = [_gpu_params(measurement) for measurement in measurements]
    values |= {name: [each[name] for each in machines] for name in ("gpu", "driver")}
    return {name: cut(",".join(_distinct(of)), _MAX_PARAM) for name, of in values.items()}


def _distinct(values: Sequence[object]) -> list[str]:
    """List the distinct values as text, numbers first and in their order.

    >>> _distinct([16, 2, "auto", 2])
    ['2', '16', 'auto']
    """
    numbers = sorted({each for each in values if isinstance(each, int | float)})
    return [*map(str, numbers), *sorted({str(each) for each in values if not isinstance(each, int | float)})]


def sweep_tags(measurements: Sequence[Measurement]) -> dict[str, str]:
    """Return what a sweep's runs have in common, and how many have which verdict."""
    verdicts = Counter(measurement.verdict.status.value for measurement in measurements)
    known = [tags_of(measurement) for measurement in measurements]
    shared = {
        key: ", ".join(dict.fromkeys(tags[key] for tags in known if key in tags)) for key in _OF_A_SWEEP
    }
    counted = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common())
    return {key: text for key, text in (shared | {"verdict": counted}).items() if text}
