"""The table of metrics: names, units, and what each row reads."""

import pytest

from mps_experiments.analysis.metrics import CHARTED, METRICS, SHOWN, logged_values, shown_values
from tests.evidence_records import traced_run, with_telemetry
from tests.records import INVALID, make_measurement


def test_names_are_unique_and_say_the_unit() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    ends = {"s": "_s", "ms": "_ms", "us": "_us", "MiB": "_mib", "MHz": "_mhz", "J": "_j", "W": "_w"}
    wrong = [m.name for m in METRICS if m.unit in ends and not m.name.endswith(ends[m.unit])]
    assert wrong == []


def test_a_run_without_evidence_tells_its_figures_only() -> None:
    values = logged_values(make_measurement(procs=2, times=4, makespan_s=2.0, batch=3))
    assert values["throughput_per_s"] == pytest.approx(12.0)
    assert values["latency/p50_ms"] == pytest.approx(500.0)
    assert values["overhead/total_s"] == pytest.approx(2.0)
    assert not [name for name in values if name.startswith(("gpu/", "trace/"))]
    assert logged_values(make_measurement(verdict=INVALID)) == {}


def test_what_is_shown_is_read_from_the_same_run() -> None:
    values = shown_values(with_telemetry(traced_run("a", procs=2)))
    assert set(values) == {metric.name for metric in SHOWN}
    assert {metric.name for metric, _ in CHARTED} <= set(values)
    assert (values["overlap"], values["busy"], values["power_w"]) == (12.5, 75.0, None)
