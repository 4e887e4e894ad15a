"""What of a run's evidence becomes metrics and tags; pure. Units are in the names."""

import math

from mps_experiments.record.measurement import Measurement


def evidence_metrics(measurement: Measurement) -> dict[str, float]:
    """Return what explains a run's figures beyond the table of metrics: by worker, and of their outputs."""
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


def evidence_tags(measurement: Measurement) -> dict[str, str]:
    """Return what was found and what is missing, in words."""
    tags = {
        "findings": "; ".join(
            f"{finding.severity.value}: {finding.text}" for finding in measurement.findings
        ),
        "missing": "; ".join(measurement.missing),
    }
    return {name: text for name, text in tags.items() if text}
