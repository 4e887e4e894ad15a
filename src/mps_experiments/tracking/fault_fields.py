"""What of a run with a fault becomes params, metrics and tags; pure. Units are in the names."""

from mps_experiments.record.measurement import Measurement
from mps_experiments.record.verdict import Status


def fault_params(measurement: Measurement) -> dict[str, object]:
    """Return what one would filter by; of an ordinary run only that it is one."""
    if measurement.is_ordinary:
        return {"fault": "none"}
    options = measurement.config.get("fault") or {}
    known = {f"fault_{name}": options[name] for name in ("worker", "at") if name in options}
    return {"fault": measurement.cell.fault, "fault_trial": measurement.cell.trial, **known}


def fault_metrics(measurement: Measurement) -> dict[str, float]:
    """Return what became of everybody; empty unless the run is VALID and has a fault."""
    trial, figures = measurement.fault, measurement.survivor_figures()
    if trial is None or measurement.verdict.status is not Status.VALID:
        return {}
    newcomer, memory = trial.newcomer, trial.memory
    metrics: dict[str, float | None] = {
        "fault/others": len(trial.neighbours),
        "fault/others_finished": len(trial.survivors),
        "fault/new_client_served": bool(newcomer and newcomer.served_ns is not None),
    }
    if figures is not None:
        metrics |= {
            "fault/survivor_elapsed_s": figures.elapsed_s,
            "fault/latency_before_ms": _ms(figures.before_s),
            "fault/latency_at_ms": _ms(figures.at_s),
            "fault/latency_after_ms": _ms(figures.after_s),
            "fault/blip_ms": _ms(figures.blip_s),
        }
    if newcomer is not None and newcomer.served_ns is not None:
        metrics["fault/new_client_served_after_s"] = (newcomer.served_ns - newcomer.asked_ns) / 1e9
        if measurement.cell.mps == "on":
            metrics["fault/new_client_without_mps"] = bool(trial.fell_back_silently)
    if memory is not None and trial.leftover_bytes is not None:
        metrics["fault/leftover_mib"] = trial.leftover_bytes / 2**20
    return {name: float(value) for name, value in metrics.items() if value is not None}


def fault_tags(measurement: Measurement) -> dict[str, str]:
    """Return the kind of the run, and what each worker saw."""
    trial = measurement.fault
    if trial is None:
        return {"kind": "run" if measurement.is_ordinary else "fault"}
    states = [state.in_words for state in trial.server_states]
    return {
        "kind": "fault",
        "server_states": " > ".join(states),
        **{
            f"worker_{fate.rank}_end": " ".join(filter(None, (fate.outcome.value, fate.text)))
            for fate in trial.fates
        },
    }


def _ms(value_s: float | None) -> float | None:
    return None if value_s is None else value_s * 1e3
