"""What of the comparison of all cells becomes metrics and tags of each run; pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mps_experiments.analysis.comparison import Ratio, ratios
from mps_experiments.analysis.explanation import explanations
from mps_experiments.analysis.parity import difference_text, output_differences, output_references
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.outputs import OutputDifference


@dataclass(frozen=True, kw_only=True)
class Fields:
    """What is logged of one run, once all runs are known."""

    metrics: dict[str, float]
    tags: dict[str, str]


def comparison_fields(measurements: Sequence[Measurement], run_ids: Mapping[str, str]) -> dict[str, Fields]:
    """Map each record id to its ratio, its cause, and how far its output lies from the reference.

    Args:
        measurements: All runs to be compared.
        run_ids: Record id -> the id under which the tracker knows the run; others are named by record id.
    """
    differences = output_differences(measurements)
    references = output_references(measurements)
    by_ratio = ratios(measurements)
    explained = explanations(measurements, by_ratio)
    found = {}
    for record_id, ratio in by_ratio.items():
        metrics, tags = _ratio_metrics(ratio), _ratio_tags(ratio, run_ids)
        if difference := differences.get(record_id):
            reference = references[record_id].record_id
            metrics |= _output_metrics(difference)
            tags |= {
                "output_reference": run_ids.get(reference, reference),
                "output_difference": _verdict(difference),
            }
        if explanation := explained.get(record_id):
            tags |= {"cause": explanation.cause.value, "why": explanation.text}
            metrics |= {f"why/{name}": value for name, value in explanation.figures.items()}
        found[record_id] = Fields(metrics=metrics, tags=tags)
    return found


def _ratio_metrics(ratio: Ratio) -> dict[str, float]:
    if ratio.value is None or ratio.overall is None or ratio.gain is None:
        return {}
    metrics = {"ratio": ratio.value}
    if ratio.repeats > 1:
        metrics["ratio_mean"] = ratio.overall.value
    if ratio.overall.interval:
        metrics["ratio_ci_low"], metrics["ratio_ci_high"] = ratio.overall.interval
    metrics["gain"] = ratio.gain.value
    if ratio.gain.interval:
        metrics["gain_low"], metrics["gain_high"] = ratio.gain.interval
    return metrics


def _ratio_tags(ratio: Ratio, run_ids: Mapping[str, str]) -> dict[str, str]:
    if ratio.overall is None:
        return {"ratio_missing": ratio.reason}
    return {
        "ratio_partner": ",".join(run_ids.get(partner, partner) for partner in ratio.partner_ids),
        "ratio_spread": ratio.overall.why,
    }


def _output_metrics(difference: OutputDifference) -> dict[str, float]:
    """Return the largest difference; none where outputs lack the same tensors: MLflow would keep 1.8e308."""
    return {"output_difference/largest": difference.largest} if math.isfinite(difference.largest) else {}


def _verdict(difference: OutputDifference) -> str:
    if difference.identical:
        return "identical"
    within = "within" if difference.within_tolerance else "beyond"
    return f"{within} tolerance: {difference_text(difference)}"
