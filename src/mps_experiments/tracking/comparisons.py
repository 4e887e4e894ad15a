"""What of the comparison of all cells becomes metrics and tags, of each run and of the sweep; pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mps_experiments.analysis.comparison import Ratio, ratios
from mps_experiments.analysis.decision import decide
from mps_experiments.analysis.estimates import interval_name
from mps_experiments.analysis.explanation import Explanation, explanations
from mps_experiments.analysis.panels import Panel, panels
from mps_experiments.analysis.parity import difference_text, output_differences, output_references
from mps_experiments.analysis.runs import ReportRun
from mps_experiments.record.axes import varied_factors
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.outputs import OutputDifference
from mps_experiments.tracking.fields import cut, name_for_mlflow

NOTE = "mlflow.note.content"  # a run's description
_REFERENCE = "1 process: the reference of ratios"


@dataclass(frozen=True, kw_only=True)
class Fields:
    """What is logged of one run, once all runs are known."""

    metrics: dict[str, float]
    tags: dict[str, str]


def comparison_fields(measurements: Sequence[Measurement], run_ids: Mapping[str, str]) -> dict[str, Fields]:
    """Map each record id to its ratio, its cause, how far its output lies from the reference, and words.

    Args:
        measurements: All runs to be compared.
        run_ids: Record id -> the id under which the tracker knows the run; others are named by record id.
    """
    differences, references = output_differences(measurements), output_references(measurements)
    by_ratio = ratios(measurements)
    explained = explanations(measurements, by_ratio)
    found = {}
    for measurement in measurements:
        record_id = measurement.record_id
        ratio, explanation = by_ratio[record_id].told, explained.get(record_id)
        metrics: dict[str, float] = {}
        tags = {NOTE: _description(measurement, ratio, explanation)}
        if measurement.cell.procs > 1 or ratio.overall is None:
            metrics, ratio_tags = _of_ratio(ratio, run_ids)
            tags |= ratio_tags
        if difference := differences.get(record_id):
            reference = references[record_id].record_id
            tags |= {
                "output_reference": run_ids.get(reference, reference),
                "output_difference": _verdict(difference),
            }
            if math.isfinite(
                difference.largest
            ):  # else outputs lack the same tensors: MLflow would keep 1.8e308
                metrics["output_difference/largest"] = difference.largest
        if explanation:
            tags |= {"cause": explanation.cause.value, "why": explanation.text}
            metrics |= {f"why/{name}": value for name, value in explanation.figures.items()}
        found[record_id] = Fields(metrics=metrics, tags={name: cut(text) for name, text in tags.items()})
    return found


def decision_metrics(measurements: Sequence[Measurement]) -> dict[str, float]:
    """Return the numbers of the decision under stable names, so that sweeps compare over time.

    A sweep of several models or settings has them for each: ``best_procs/resnet50``.
    """
    every = panels([ReportRun.of(measurement) for measurement in measurements])
    metrics: dict[str, float] = {}
    for panel in every:
        where = f"/{panel.title.replace(' · ', ' ')}" if len(every) > 1 else ""
        metrics |= {name_for_mlflow(f"{name}{where}"): value for name, value in _decided(panel).items()}
    return metrics


def _decided(panel: Panel) -> dict[str, float]:
    """Return the numbers of the stratum with the most throughput, and which one it is."""
    decisions = [decision for stratum in panel.strata if (decision := decide(stratum))]
    if not decisions:
        return {}
    leader = max(decisions, key=lambda decision: decision.best.throughput_median_per_s)
    axes = leader.best.first.cell.axes
    varied = varied_factors([measurement.cell.axes for measurement in panel.measurements])
    return leader.metrics | {
        f"best_{axis.name}": axes[axis.name] for axis in varied if isinstance(axes[axis.name], int)
    }


def _of_ratio(ratio: Ratio, run_ids: Mapping[str, str]) -> tuple[dict[str, float], dict[str, str]]:
    if ratio.value is None or ratio.run_gain is None or ratio.overall is None or ratio.gain is None:
        return {}, {"ratio_missing": ratio.reason}
    metrics = {"ratio": ratio.value, "gain": ratio.run_gain}
    for name, mean in (("ratio_mean", ratio.overall), ("gain_mean", ratio.gain)):
        metrics[name] = mean.value
        if mean.interval:
            metrics[f"{name}_low"], metrics[f"{name}_high"] = mean.interval
    partners = ",".join(run_ids.get(partner, partner) for partner in ratio.partner_ids)
    return metrics, {"ratio_partner": partners, "ratio_spread": ratio.overall.why}


def _description(measurement: Measurement, ratio: Ratio, explanation: Explanation | None) -> str:
    """Return verdict, ratio and cause as Markdown."""
    verdict, procs = measurement.verdict, measurement.cell.procs
    text = f"**{verdict.status.value}**: {verdict.reason}"
    if ratio.value is not None:
        text += f"\n\n{procs} processes: {_compared(ratio)}" if procs > 1 else f"\n\n{_REFERENCE}"
    elif measurement.is_ordinary and measurement.statistics():
        text += f"\n\nNo ratio: {ratio.reason}"
    return f"{text}\n\n{explanation.text}" if explanation else text


def _compared(ratio: Ratio) -> str:
    """Return ratio and gain of the run and, where its cell has several, the means of the cell."""
    text = f"ratio {ratio.value:.2f}, gain {ratio.run_gain:.2f}"
    if ratio.repeats > 1 and ratio.overall and ratio.gain:
        means = f"ratio_mean {ratio.overall.text}, gain_mean {ratio.gain.text}"
        worth = f" ({interval_name(ratio.gain.rough)})" if ratio.gain.interval else ""
        text += f"\n\nOver the {ratio.repeats} runs of the cell: {means}{worth}"
    return text


def _verdict(difference: OutputDifference) -> str:
    if difference.identical:
        return "identical"
    within = "within" if difference.within_tolerance else "beyond"
    return f"{within} tolerance: {difference_text(difference)}"
