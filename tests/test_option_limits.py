"""The numbers that options may have."""

import dataclasses

import pytest

from mps_experiments.config import Config, FaultKind, ValidityConfig
from tests.planned import one, planned, refused


@pytest.mark.parametrize(
    ("name", "lowest", "highest"),
    [
        ("procs", 1, 1024),
        ("repeat", 0, 10_000_000),
        ("order_seed", 0, 2**32 - 1),
        ("workload__seed", 0, 2**63 - 1),
        ("min_free_disk_mb", 0, 2**40),
        ("trace__iterations", 0, 1000),
        ("fault__trials", 1, 1000),
        ("fault__worker", 0, 1023),
    ],
)
def test_a_count_is_taken_within_its_bounds_only(name: str, lowest: int, highest: int) -> None:
    option = name.replace("__", ".")
    assert planned(**one(name, lowest))
    assert planned(**one(name, highest))
    for wrong in (lowest - 1, -(10**30), highest + 1, 10**30):
        assert (
            refused(**one(name, wrong))
            == f"{option}={wrong}: must be a whole number from {lowest} to {highest}"
        )


@pytest.mark.parametrize(("name", "lowest"), [("times", 1), ("workers__warmup", 0)])
def test_a_count_that_may_be_auto_is_nothing_else(name: str, lowest: int) -> None:
    option = name.replace("__", ".")
    for right in ("auto", lowest, 10_000_000):
        assert planned(**one(name, right))
    others: list[object] = [2.5, 1e3, float("nan"), "often", "", "AUTO", True, [1, 2], {}, None]
    for wrong in (lowest - 1, 10_000_001, *others):
        line = refused(**one(name, wrong))
        assert line.startswith(option)
        assert line.endswith(f": must be auto or a whole number from {lowest} to 10000000")


@pytest.mark.parametrize("minutes", [0.0, -1.0, 1e6, float("nan"), float("inf")])
def test_a_budget_is_a_number_of_minutes(minutes: float) -> None:
    text = f"budget_min={minutes}: must be a number of minutes above 0, at most 100000"
    assert refused(budget_min=minutes) == text
    assert planned(budget_min=0.5)


TIMEOUTS = [
    "workers__ready_timeout_s",
    "workers__stall_timeout_s",
    "tracking__timeout_s",
    "tracking__connect_timeout_s",
]


@pytest.mark.parametrize("name", TIMEOUTS)
@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf"), float("-inf"), 1e300])
def test_a_deadline_is_a_number_of_seconds_that_the_kernel_can_wait(name: str, seconds: float) -> None:
    assert refused(**one(name, seconds)).startswith(
        f"{name.replace('__', '.')}={seconds}: must be a number of"
    )


def test_every_deadline_of_the_schema_is_tested_here() -> None:
    config = Config()
    found = [
        f"{group.name}__{field.name}"
        for group in dataclasses.fields(config)
        if dataclasses.is_dataclass(value := getattr(config, group.name))
        for field in dataclasses.fields(value)
        if field.name.endswith("timeout_s")
    ]
    assert sorted(found) == sorted(TIMEOUTS)


@pytest.mark.parametrize(
    ("name", "lowest", "highest"),
    [
        ("trace__min_s", 0, 10),
        ("precision", 0, 1),
        ("window_s", 0.01, 86_400),
        ("workers__rotate_s", 0.001, 60),
    ],
)
def test_a_number_has_its_bounds(name: str, lowest: float, highest: float) -> None:
    option = name.replace("__", ".")
    assert planned(**one(name, float(lowest)))
    assert planned(**one(name, float(highest)))
    for wrong in (lowest - 0.001, highest + 0.001, float("nan"), float("inf"), float("-inf")):
        text = f"{option}={wrong}: must be a number from {lowest:g} to {highest:g}"
        assert refused(**one(name, wrong)) == text


def test_telemetry_is_off_or_leaves_pauses_in_between() -> None:
    for right in (0.0, 0.005, 60.0):
        assert planned(telemetry__interval_s=right).telemetry_interval_s == right
    for wrong in (-0.001, 1e-9, 60.001, float("nan"), float("inf"), float("-inf")):
        expected = "must be 0 (off) or a number of seconds from 0.005 to 60"
        assert refused(telemetry__interval_s=wrong) == f"telemetry.interval_s={wrong}: {expected}"


@pytest.mark.parametrize("nothing", ["", "  "])
def test_an_output_folder_without_a_name_is_refused(nothing: str) -> None:
    assert "must name a folder" in refused(output_dir=nothing)


SHARES_AT_LEAST = ["common_window_warn"]
SWITCHES = ["foreign_daemon_invalid", "nonfinite_outputs"]
LIMITS = [
    field.name
    for field in dataclasses.fields(ValidityConfig)
    if field.name not in (*SWITCHES, *SHARES_AT_LEAST)
]


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_of_validity_is_a_number_of_at_least_zero(name: str) -> None:
    for right in (0.0, 0.125, 3.0, float("inf")):
        assert getattr(planned(**one(f"validity__{name}", right)).thresholds, name) == right
    for wrong in (-0.001, float("nan"), float("-inf")):
        assert (
            refused(**one(f"validity__{name}", wrong))
            == f"validity.{name}={wrong}: must be a number of at least 0"
        )


@pytest.mark.parametrize("name", SHARES_AT_LEAST)
def test_a_share_that_must_be_reached_is_at_most_the_whole(name: str) -> None:
    for right in (0.0, 0.5, 1.0):
        assert getattr(planned(**one(f"validity__{name}", right)).thresholds, name) == right
    for wrong in (-0.001, 1.001, float("nan"), float("inf")):
        text = f"validity.{name}={wrong}: must be a number from 0 to 1"
        assert refused(**one(f"validity__{name}", wrong)) == text


@pytest.mark.parametrize("share", [1.0, 1.5, -0.1, float("nan"), float("inf"), float("-inf")])
def test_a_fault_happens_while_there_are_iterations_left(share: float) -> None:
    text = f"fault.at={share}: must be a number from 0 to below 1"
    assert refused(fault__at=share) == text


@pytest.mark.parametrize(
    ("share", "times", "after"),
    [(0.0, 5, 0), (0.5, 5, 2), (0.29, 100, 29), (0.999, 5, 4), (1 - 1e-12, 10, 9), (0.5, 1, 0)],
)
def test_a_fault_happens_after_that_share_of_the_iterations_and_before_the_last(
    share: float, times: int, after: int
) -> None:
    plan = planned(fault__kind=FaultKind.kill, fault__at=share, times=times, procs=2)
    assert plan.fault is not None
    assert plan.fault.after_iterations == after


@pytest.mark.parametrize(("procs", "worker"), [(2, 2), (1, 1), (4, -1)])
def test_only_a_worker_that_is_there_can_be_hit(procs: int, worker: int) -> None:
    text = f"fault.worker={worker}: must be a whole number from 0 to {procs - 1}"
    assert refused(fault__kind=FaultKind.kill, fault__worker=worker, procs=procs) == text
    assert planned(fault__kind=FaultKind.kill, fault__worker=procs - 1, procs=procs)


@pytest.mark.parametrize("seconds", [-0.1, float("nan"), float("inf"), 1e7])
def test_a_newcomer_comes_after_a_number_of_seconds(seconds: float) -> None:
    assert refused(fault__newcomer_after_s=seconds).startswith("fault.newcomer_after_s=")
    assert planned(fault__newcomer_after_s=0.0)
