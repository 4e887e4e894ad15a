"""Checks behind a verdict, each on the evidence of one run that measured all it should. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mps_experiments.analysis.numbers import per_cent, short
from mps_experiments.config.schema import Thresholds
from mps_experiments.record.findings import Finding, Severity, too_little, too_much
from mps_experiments.record.gpu_work import GpuWork
from mps_experiments.record.outputs import OutputDifference, OutputDigest, nonfinite_text
from mps_experiments.record.samples import WorkerSamples
from mps_experiments.record.statistics import summarise, whole_window_ns
from mps_experiments.record.telemetry import POWER_CAP, THROTTLING, CpuUsage, Telemetry, summarise_telemetry

_PARITY, _NONFINITE = "parity", "nonfinite_outputs"
_LITTLE = 0.01  # of the traced pass
_MAX_PRODUCT_ERROR = 0.02  # correct products reach 0.003 (bfloat16); wrong ones were seen from 0.56 on
_MOST = 1e300  # JSON has no infinity
_MIN_FOR_THIRDS = 9  # iterations
_MIN_OUTLIERS = 2
_OUTLIER = 2.0  # times the worker's median
_CLOCK_FELL = 0.98  # of the highest clock: touching the power limit now and then has no effect
_MIN_SHARE_WINDOW_S = 1.0  # NVML's shares reach back up to a second, when another run may just have ended
_MIN_WAIT_WINDOW_S = 0.1  # the kernel's count reaches beyond the window by some milliseconds
_MIN_CORE_WINDOW_S = 0.5  # the kernel counts in hundredths of a second


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Evidence about one complete run. Sequences are by rank; None stands for what is unknown.

    Attributes:
        kept: True if workers that were done kept up the load.
        core_speeds: Speed of each worker's core in steps of an empty loop per microsecond.
        usage: CPU time of each worker.
        cores: CPU cores that each worker could use.
        own_pids: Workers, their descendants and MPS servers; their use of the GPU is not foreign.
        listed_pids: Every process that NVML listed on the GPU when attachment was observed.
        foreign_load: Other processes seen on the GPU, in words.
        foreign_daemons: MPS daemons of others, in words.
        parity: Largest difference between the workers' outputs; None if they were not compared.
        factory: True if the model comes from the user's own factory.
        outputs: Outputs of the workers that returned one, by rank.
        descendants: Processes on the GPU that the workers started.
        product_errors: Relative errors of matrix products by rank and data type, of workers that may use
            part of the GPU.
    """

    samples: Sequence[WorkerSamples]
    kept: bool
    core_speeds: Sequence[float | None]
    usage: Sequence[CpuUsage | None]
    cores: Sequence[tuple[int, ...]]
    on_gpu: bool
    mps_on: bool
    telemetry: Telemetry | None
    own_pids: frozenset[int]
    listed_pids: frozenset[int]
    foreign_load: Sequence[str]
    foreign_daemons: Sequence[str]
    parity: OutputDifference | None
    factory: bool
    outputs: Mapping[int, OutputDigest]
    gpu_work: Sequence[GpuWork]
    descendants: Sequence[int]
    product_errors: Mapping[int, Mapping[str, float]]


_Check = Callable[[Evidence, Thresholds], Iterator[Finding | None]]


def check(evidence: Evidence, limits: Thresholds) -> tuple[Finding, ...]:
    """Run all checks and return their findings, INVALID ones first.

    A run on the CPU shows only that everything works, so a busy machine is no reason to refuse it.
    """
    checks: list[_Check] = [_outputs, _windows, _clocks, _foreign_gpu, _cores, _latency]
    if evidence.on_gpu:
        checks[1:1] = [_gpu_work, _products, _foreign_daemons]
    found = [finding for each in checks for finding in each(evidence, limits) if finding is not None]
    if not evidence.on_gpu:
        found = [
            each if each.check in (_PARITY, _NONFINITE) else replace(each, severity=Severity.WARNING)
            for each in found
        ]
    return tuple(sorted(found, key=lambda finding: finding.severity is not Severity.INVALID))


def _outputs(evidence: Evidence, limits: Thresholds) -> Iterator[Finding | None]:
    """Refuse replicas that compute different outputs, or NaN or infinity, which broken replicas share."""
    parity = evidence.parity
    if parity is not None and not parity.within_tolerance:
        todo = "raise validity.output_rtol or output_atol to accept it"
        if evidence.factory:
            todo = f"seed the factory's weights and inputs (torch.manual_seed in build), or {todo}"
        text = (
            f"replicas computed different outputs: they differ by {parity.largest:.3g} in {parity.where} "
            f"(allowed: {limits.output_atol:g} + {limits.output_rtol:g} of the value); {todo}"
        )
        yield too_much(_PARITY, min(parity.excess, _MOST), text, invalid=1.0)
    nonfinite = {rank: nonfinite_text(output) for rank, output in sorted(evidence.outputs.items())}
    told = "; ".join(f"worker {rank}: {text}" for rank, text in nonfinite.items() if text)
    if told and not limits.nonfinite_outputs:
        text = f"outputs are NaN or infinite ({told}); accept them with validity.nonfinite_outputs=true"
        yield Finding(check=_NONFINITE, severity=Severity.INVALID, text=text)


def _gpu_work(evidence: Evidence, _: Thresholds) -> Iterator[Finding | None]:
    """Refuse workers whose iterations are known not to run on the GPU, or are another process's work."""
    work, descendants = evidence.gpu_work, evidence.descendants
    started = f"processes that the workers started were on the GPU (pid {', '.join(map(str, descendants))})"
    if refuted := [each.in_words() for each in work if each.refuted]:
        text = "; ".join([*refuted, *([started] if descendants else [])])
        yield Finding(check="gpu_work", severity=Severity.INVALID, text=text)
        return
    unproved = sorted(set(range(len(evidence.samples))) - {each.rank for each in work if each.proved})
    if unproved:
        ranks = ", ".join(map(str, unproved))
        text = f"GPU work not proved for worker{'s' if len(unproved) > 1 else ''} {ranks}"
        severity = Severity.INVALID if descendants else Severity.WARNING
        text = f"{text}, and {started}: it may be theirs" if descendants else text
        yield Finding(check="gpu_work", severity=severity, text=text)
    elif descendants:
        text = f"{started}: the figures cover more processes than procs"
        yield Finding(check="descendants", severity=Severity.WARNING, text=text)
    shares = [(each.busy_share, each.rank) for each in work if each.busy_share is not None]
    if shares:  # a small one: the model computes on the CPU except for a few small operations
        share, rank = min(shares)
        text = f"the GPU computed for worker {rank} in only {per_cent(share, digits=2)} of the traced pass"
        yield too_little("little_gpu_work", share, text, warn=_LITTLE)


def _products(evidence: Evidence, _: Thresholds) -> Iterator[Finding | None]:
    for rank, by_type in sorted(evidence.product_errors.items()):
        error, worst = max((error, name) for name, error in by_type.items())
        text = (
            f"worker {rank} computes wrong matrix products under its SM cap: relative error "
            f"{error:.2g} in {worst}; choose another cap"
        )
        yield too_much("wrong_products", min(error, _MOST), text, invalid=_MAX_PRODUCT_ERROR)


def _foreign_daemons(evidence: Evidence, limits: Thresholds) -> Iterator[Finding | None]:
    """Report daemons of others, which may serve other clients; without MPS they put the claim in doubt."""
    if not evidence.foreign_daemons:
        return
    text, severity = "; ".join(evidence.foreign_daemons), Severity.WARNING
    if limits.foreign_daemon_invalid and not evidence.mps_on:
        text = f"mps=off, but {text}: quit it, or accept it with validity.foreign_daemon_invalid=false"
        severity = Severity.INVALID
    yield Finding(check="foreign_daemon", severity=severity, text=text)


def _windows(evidence: Evidence, limits: Thresholds) -> Iterator[Finding | None]:
    if len(evidence.samples) < 2:
        return
    figures = summarise(evidence.samples, evidence.kept)
    if not evidence.kept:
        common = max(0.0, figures.common_window_s / figures.makespan_s)
        first = min(evidence.samples, key=lambda worker: worker.end_ns)
        text = (
            f"window=fixed: worker {first.rank} finished early; all workers ran together for only "
            f"{per_cent(common)} of the makespan, so throughput, latency and ratio partly describe "
            "fewer workers"
        )
        yield too_little("common_window", common, text, warn=limits.common_window_warn)
    skew = figures.start_skew_s / figures.makespan_s
    text = (
        f"the last worker started {figures.start_skew_s * 1e3:.1f} ms after the first, "
        f"{per_cent(skew, digits=1)} of the makespan"
    )
    yield too_much("start_skew", skew, text, warn=limits.start_skew_warn)
    # Blame the cores only where their measured speeds differ.
    speeds = [speed for speed in evidence.core_speeds if speed is not None]
    cores_differ = len(speeds) > 1 and max(speeds) > limits.unequal_workers_warn * min(speeds)
    slowest, fastest = max(figures.latency_p50_by_worker_s), min(figures.latency_p50_by_worker_s)
    what = "cores" if cores_differ else "workers"
    text = f"{what} of unequal speed: {short(fastest * 1e3)} to {short(slowest * 1e3)} ms"
    yield too_much("unequal_workers", slowest / fastest, text, warn=limits.unequal_workers_warn)


def _clocks(evidence: Evidence, limits: Thresholds) -> Iterator[Finding | None]:
    telemetry = evidence.telemetry
    summary = summarise_telemetry(telemetry, whole_window_ns(evidence.samples)) if telemetry else None
    if telemetry is None or summary is None:
        return
    clock, highest = summary.sm_clock_min_mhz, telemetry.sm_clock_max_mhz
    lowest = f"{summary.sample_count} readings"
    if clock:
        lowest += f", down to {clock} MHz" + (f" of {highest} MHz" if highest else "")
    why = [reason for reason in sorted(THROTTLING) if summary.reason_shares.get(reason)]
    throttled = summary.throttled_share
    text = f"the GPU's clock was held down ({', '.join(why)}) in {per_cent(throttled)} of {lowest}"
    yield too_much("throttling", throttled, text, invalid=limits.throttled_invalid)
    mean = summary.mean.get("sm_clock_mhz")
    if not (mean and highest and mean > _CLOCK_FELL * highest):
        capped = summary.reason_shares.get(POWER_CAP, 0.0)
        text = f"the power limit held the GPU's clock down in {per_cent(capped)} of {lowest}"
        yield too_much("power_cap", capped, text, warn=limits.power_capped_warn)


def _foreign_gpu(evidence: Evidence, limits: Thresholds) -> Iterator[Finding | None]:
    shares = evidence.telemetry.gpu_share_by_pid if evidence.telemetry else None
    # If NVML reports pids of another namespace, ours are not among them, and nothing can be told.
    if shares and evidence.own_pids & shares.keys():
        start_ns, end_ns = whole_window_ns(evidence.samples)
        reaches_back = (end_ns - start_ns) / 1e9 < _MIN_SHARE_WINDOW_S
        foreign = {
            pid: share
            for pid, share in shares.items()
            if share > 0
            and pid not in evidence.own_pids
            and not (reaches_back and pid not in evidence.listed_pids)
        }
        total = sum(foreign.values())
        pids = ", ".join(map(str, sorted(foreign)))
        text = f"other processes (pid {pids}) used {per_cent(total)} of the GPU"
        if finding := too_much("foreign_gpu", total, text, warn=0.0, invalid=limits.foreign_gpu_invalid):
            yield finding
            return
    if evidence.foreign_load:
        text = "; ".join(evidence.foreign_load)
        yield Finding(check="foreign_gpu", severity=Severity.WARNING, text=text)


def _cores(evidence: Evidence, limits: Thresholds) -> Iterator[Finding | None]:
    workers, together = len(evidence.cores), set().union(*evidence.cores)
    if together:
        plural = "s" if len(together) > 1 else ""
        text = f"{workers} workers share {len(together)} CPU core{plural}"
        yield too_much("shared_cores", workers / len(together), text, warn=1.0)
    for worker, usage in zip(evidence.samples, evidence.usage, strict=True):
        waited = usage.run_queue_wait_s if usage else None
        if waited is not None and worker.at_work_s >= _MIN_WAIT_WINDOW_S:
            share = min(1.0, waited / worker.at_work_s)
            text = f"worker {worker.rank} waited for a CPU core in {per_cent(share)} of its time at work"
            yield too_much("core_wait", share, text, warn=limits.core_wait_warn)
    foreign = foreign_cpu_share(evidence)
    if foreign is not None:
        text = f"other processes or the hypervisor used {per_cent(foreign)} of the workers' CPU cores"
        yield too_much("foreign_cpu", foreign, text, warn=limits.foreign_cpu_warn)


def foreign_cpu_share(evidence: Evidence) -> float | None:
    """Return the share of the workers' cores used by neither workers nor parent; None if unknown."""
    use = evidence.telemetry.cores if evidence.telemetry else None
    cores = set().union(*evidence.cores) & (use.busy_s.keys() if use else set())
    if use is None or not cores or use.seconds < _MIN_CORE_WINDOW_S or None in evidence.usage:
        return None
    alone = all(len(each) == 1 for each in evidence.cores)  # then the parent ran on other cores
    own = sum(usage.cpu_s for usage in evidence.usage if usage is not None)
    own += 0.0 if alone or evidence.telemetry is None else evidence.telemetry.own_cpu_s
    taken = sum(use.busy_s[core] + use.stolen_s.get(core, 0.0) for core in cores) - own
    return max(0.0, taken) / (use.seconds * len(cores))


def _latency(evidence: Evidence, limits: Thresholds) -> Iterator[Finding | None]:
    slow = total = 0
    for worker in evidence.samples:
        latencies = worker.latencies_s()
        total += len(latencies)
        slow += int((latencies > _OUTLIER * np.median(latencies)).sum())
        if len(latencies) >= _MIN_FOR_THIRDS:
            third = len(latencies) // 3
            drift = float(np.median(latencies[-third:]) / np.median(latencies[:third])) - 1
            change = f"{per_cent(abs(drift))} {'slower' if drift > 0 else 'faster'}"
            text = f"worker {worker.rank} became {change} from the first third to the last"
            yield too_much("drift", abs(drift), text, warn=limits.drift_warn)
    if slow >= _MIN_OUTLIERS:
        text = f"{slow} of {total} iterations took over twice their worker's median"
        yield too_much("outliers", slow / total, text, warn=limits.outliers_warn)
