"""What of a run's evidence becomes metrics and tags; pure. Units are in the names."""

import math

from mps_experiments.measurement.telemetry import POWER_CAP
from mps_experiments.record import Measurement


def evidence_metrics(measurement: Measurement) -> dict[str, float]:
    """What explains a VALID run's numbers, where it is known."""
    metrics = {**_gpu_metrics(measurement), **_trace_metrics(measurement), **_cpu_metrics(measurement)}
    if measurement.parity is not None and measurement.parity.compared:
        metrics["output/largest_difference"] = measurement.parity.largest
    return {name: value for name, value in metrics.items() if value is not None and math.isfinite(value)}


def _gpu_metrics(measurement: Measurement) -> dict[str, float | None]:
    telemetry, summary = measurement.telemetry, measurement.telemetry_summary()
    if telemetry is None or summary is None:
        return {}
    figures = measurement.statistics()
    items = figures.throughput_per_s * figures.makespan_s if figures else None
    mean = summary.mean.get
    has_reasons = any(sample.clock_event_reasons is not None for sample in telemetry.gpu)
    return {
        "gpu/energy_j": summary.energy_j,
        "gpu/energy_per_item_j": _times(summary.energy_j, 1 / items) if items else None,
        "gpu/power_mean_w": mean("power_w"),
        "gpu/utilization_mean": mean("utilization"),
        "gpu/sm_activity_mean": mean("sm_activity"),
        "gpu/sm_occupancy_mean": mean("sm_occupancy"),
        "gpu/dram_activity_mean": mean("dram_activity"),
        "gpu/sm_clock_mean_mhz": mean("sm_clock_mhz"),
        "gpu/sm_clock_min_mhz": summary.sm_clock_min_mhz,
        "gpu/memory_clock_mean_mhz": mean("memory_clock_mhz"),
        "gpu/memory_used_max_mib": _times(summary.memory_used_max_bytes, 2**-20),
        "gpu/throttled_share": summary.throttled_share if has_reasons else None,
        "gpu/power_capped_share": summary.reason_shares.get(POWER_CAP, 0.0) if has_reasons else None,
    }


def _trace_metrics(measurement: Measurement) -> dict[str, float | None]:
    """None for a run on the CPU: its operations are no kernels."""
    activity = measurement.activity
    if activity is None or not activity.on_gpu:
        return {}
    count = len(activity.workers)
    telling = activity.tells_overlap(measurement.cell.mps == "on")
    return {
        "trace/gpu_busy_share": activity.busy_share,
        "trace/overlap_share": activity.overlap_share if telling else None,
        "trace/mean_active_workers": activity.mean_active_workers if telling else None,
        "trace/gaps_per_s": activity.gaps_per_s,
        "trace/gap_p50_us": activity.gap_p50_s * 1e6,
        "trace/kernel_time_per_iteration_ms": sum(w.operations_s for w in activity.workers) / count * 1e3,
        "trace/kernels_per_iteration": sum(w.operations for w in activity.workers) / count,
        "trace/behind_others_ms": sum(w.behind_others_s for w in activity.workers) / count * 1e3,
        "trace/waiting_idle_ms": sum(w.waiting_idle_s for w in activity.workers) / count * 1e3,
        "trace/iteration_ms": sum(w.iteration_s for w in activity.workers) / count * 1e3,
    }


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
    """Over all workers, where each of them told: nobody sorts by one worker's."""
    uses = [worker.done.cpu for worker in measurement.workers if worker.done and worker.done.cpu]
    if not uses or len(uses) < len(measurement.workers):
        return {}
    return {
        "workers/cpu_s": sum(used.cpu_s for used in uses),
        "workers/voluntary_switches": sum(used.voluntary_switches for used in uses),
        "workers/involuntary_switches": sum(used.involuntary_switches for used in uses),
    }


def evidence_tags(measurement: Measurement) -> dict[str, str]:
    """What was found and what is missing, in words."""
    tags = {
        "findings": "; ".join(
            f"{finding.severity.value}: {finding.text}" for finding in measurement.findings
        ),
        "missing": "; ".join(measurement.missing),
    }
    return {name: text for name, text in tags.items() if text}


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
