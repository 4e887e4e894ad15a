"""What differs between the machine, code and files of stored runs and those of now."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from mps_experiments.fingerprint import of_plan, of_record
from mps_experiments.machine.facts import collect_facts
from mps_experiments.machine.gpus import GpuProbe
from mps_experiments.plan import RunPlan
from mps_experiments.record import Cell, Measurement
from mps_experiments.recorder import cell_of
from mps_experiments.replay.files import digest_of_file
from mps_experiments.report.keys import differing_keys


def difference_lines(pairs: Sequence[tuple[Measurement, RunPlan]], probe: GpuProbe) -> Iterator[str]:
    """Each circumstance that differs, once, the stored value first.

    Args:
        pairs: Stored runs, and the same as they would be made now.
        probe: What tells which GPUs this machine has.
    """
    facts = {plan.device: collect_facts(probe, plan.device.gpu) for _, plan in pairs}
    used = {plan.workloads[0].weights for _, plan in pairs}
    digests = {weights: digest_of_file(Path(weights)) for weights in used}
    found: dict[str, None] = {}
    for stored, plan in pairs:
        now = of_plan(plan, {}, facts[plan.device], digests[plan.workloads[0].weights])
        work = differing_keys(work_of(stored.cell), work_of(cell_of(plan)))
        found |= dict.fromkeys([*work, *of_record(stored).differences(now)])
    for text in found:
        yield f"differs: {text}"


def work_of(cell: Cell) -> dict[str, object]:
    """What is computed, and how the workers are set up for it."""
    return {
        "model": cell.model,
        "weights": cell.weights,
        "input": [image.name for image in cell.inputs],
        "options": cell.options,
        "seed": cell.axes["seed"],
        "warmup": cell.axes["warmup"],
        "device": "cpu" if cell.device == "cpu" else "a GPU",
        "cpu_affinity": cell.axes["cpu_affinity"],
        "window": cell.window,
        "window_s": cell.window_s,
        "start_method": cell.axes["start_method"],
        "compute_mode": cell.axes["compute_mode"],
        "verbose": cell.axes["verbose"],
    }
