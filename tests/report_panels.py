"""Sweeps for the report, made by hand: makespans in seconds by number of processes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mps_experiments.analysis.panels import Panel, panels
from mps_experiments.analysis.runs import ReportRun
from mps_experiments.record.findings import Finding, Severity
from mps_experiments.record.measurement import Measurement
from mps_experiments.report.content import (
    Bullets,
    Code,
    Details,
    Heading,
    Page,
    Paragraph,
    SideBySide,
    Table,
)
from mps_experiments.report.drawing import Chart
from mps_experiments.report.report_page import Subject
from tests.evidence_records import traced_run, with_telemetry
from tests.records import GPU, MACHINE, make_measurement

TIMES = 10
CPU_ONLY = replace(MACHINE, gpu=None, driver_version=None)
OTHER_MACHINE = replace(
    MACHINE, hostname="other", gpu=replace(GPU, name="NVIDIA A100", uuid="GPU-2"), driver_version="570.1"
)
Makespans = Mapping[int, float | Sequence[float]]


def arm(mps: str, makespans_s: Makespans, **changed: Any) -> list[Measurement]:
    """The runs of one arm; a sequence of makespans are repeats."""
    runs = []
    for procs, given in makespans_s.items():
        for repeat, makespan_s in enumerate([given] if isinstance(given, float) else given):
            run = make_measurement(
                f"{mps}-{procs}-{repeat}-{changed.get('record', '')}",
                mps=mps,
                procs=procs,
                repeat=repeat,
                makespan_s=makespan_s,
                **{"times": TIMES} | {key: value for key, value in changed.items() if key != "record"},
            )
            runs.append(replace(run, name=f"{run.name} repeat={repeat}"))
    return runs


def panel_of(*measurements: Measurement) -> Panel:
    """The one panel of these runs."""
    (panel,) = panels(as_runs(measurements))
    return panel


def as_runs(measurements: Sequence[Measurement]) -> tuple[ReportRun, ...]:
    return tuple(ReportRun.of(measurement) for measurement in measurements)


def subject_of(*measurements: Measurement, **changed: Any) -> Subject:
    return Subject(runs=as_runs(measurements), **changed)


def full_sweep() -> list[Measurement]:
    """Both arms with everything that can be measured."""
    runs = []
    for mps, behind_ms in (("off", 20.0), ("on", 1.0)):
        for procs in (1, 2, 4):
            run = traced_run(
                f"{mps}-{procs}",
                mps=mps,
                procs=procs,
                iteration_ms=10.0 + behind_ms * (procs - 1),
                behind_ms=behind_ms * (procs - 1),
            )
            runs.append(_with_energy(with_telemetry(run, power_w=100.0 * procs), 2.0 * procs))
    return runs


def warned(run: Measurement, check: str, text: str) -> Measurement:
    """The run with a warning."""
    return replace(run, findings=(Finding(check=check, severity=Severity.WARNING, text=text),))


def _with_energy(run: Measurement, step_j: float) -> Measurement:
    """The run with an energy counter that grows by this much from reading to reading."""
    window = run.window_ns()
    assert run.telemetry is not None
    assert window is not None
    at_the_end = replace(run.telemetry.gpu[-1], at_ns=window[1])
    gpu = (*run.telemetry.gpu, at_the_end)
    counted = tuple(replace(each, energy_j=step_j * number) for number, each in enumerate(gpu))
    return replace(run, telemetry=replace(run.telemetry, gpu=counted))


def page_with(text: str) -> Page:
    """A page in which the text stands wherever a text may stand."""
    table = Table(title=text, header=(text, text), rows=((text, text),), notes=(text,))
    chart = Chart(name="a", title=text, alt=text, note=text, svg="<svg></svg>", png=b"")
    blocks = (
        Heading(text=text),
        Heading(text=text, level=3),
        Paragraph(text=text),
        Paragraph(text=text, strong=True),
        Bullets(items=(text, text)),
        Code(text=text),
        table,
        chart,
        Chart(name="b", title=text, alt=text, png=b"x"),
        SideBySide(blocks=(chart,)),
        Details(summary=text, blocks=(Paragraph(text=text), table)),
    )
    return Page(title=text, blocks=blocks)
