"""Checks of what the workers computed, and where: a steady number of the wrong work is false, too. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from mps_experiments.config.schema import Thresholds
from mps_experiments.record.findings import Finding, Severity, too_little, too_much
from mps_experiments.record.gpu_work import GpuWork
from mps_experiments.record.outputs import OutputDifference, OutputDigest, nonfinite_text

PARITY, NONFINITE = "parity", "nonfinite_outputs"
_LITTLE = 0.01  # of the traced pass
_MAX_PRODUCT_ERROR = 0.02  # correct products reach 0.003 (bfloat16); wrong ones were seen from 0.56 on


def check_parity(parity: OutputDifference | None, factory: bool, limits: Thresholds) -> Iterator[Finding]:
    """Refuse replicas that compute different outputs."""
    if parity is None or parity.within_tolerance:
        return
    todo = "raise validity.output_rtol or output_atol to accept it"
    if factory:
        todo = f"seed the factory's weights and inputs (torch.manual_seed in build), or {todo}"
    text = (
        f"replicas computed different outputs: they differ by {parity.largest:.3g} in {parity.where} "
        f"(allowed: {limits.output_atol:g} + {limits.output_rtol:g} of the value); {todo}"
    )
    value, limit = min(parity.excess, 1e300), 1.0
    yield Finding(check=PARITY, severity=Severity.INVALID, text=text, value=value, limit=limit)


def check_finite(outputs: Mapping[int, OutputDigest], limits: Thresholds) -> Iterator[Finding]:
    """Refuse outputs with NaN or infinity, which equal each other in every broken replica."""
    found = {rank: text for rank, output in sorted(outputs.items()) if (text := nonfinite_text(output))}
    if not found or limits.nonfinite_outputs:
        return
    told = "; ".join(f"worker {rank}: {text}" for rank, text in found.items())
    yield Finding(
        check=NONFINITE,
        severity=Severity.INVALID,
        text=f"outputs are NaN or infinite ({told}); accept them with validity.nonfinite_outputs=true",
    )


def check_gpu_work(
    worker_count: int, work: Sequence[GpuWork], descendants: Sequence[int]
) -> Iterator[Finding]:
    """Refuse workers whose iterations are known not to run on the GPU, or are another process's work.

    `work` is without workers that could not be observed; `descendants` are processes on the GPU that they
    started.
    """
    started = f"processes that the workers started were on the GPU (pid {', '.join(map(str, descendants))})"
    if refuted := [each.in_words() for each in work if each.refuted]:
        text = "; ".join([*refuted, *([started] if descendants else [])])
        yield Finding(check="gpu_work", severity=Severity.INVALID, text=text)
        return
    unproved = sorted(set(range(worker_count)) - {each.rank for each in work if each.proved})
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
        text = f"the GPU computed for worker {rank} in only {share:.2%} of the traced pass"
        if finding := too_little("little_gpu_work", share, text, warn=_LITTLE):
            yield finding


def check_products(errors: Mapping[int, Mapping[str, float]]) -> Iterator[Finding]:
    """Refuse workers that computed wrong matrix products.

    `errors` are relative, by rank and data type; only of workers that may use part of the GPU.
    """
    for rank, by_type in sorted(errors.items()):
        error, worst = max((error, name) for name, error in by_type.items())
        text = (
            f"worker {rank} computes wrong matrix products under its SM cap: relative error "
            f"{error:.2g} in {worst}; choose another cap"
        )
        value = min(error, 1e300)  # JSON has no infinity
        if finding := too_much("wrong_products", value, text, invalid=_MAX_PRODUCT_ERROR):
            yield finding
