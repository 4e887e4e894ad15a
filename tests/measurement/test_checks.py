"""Every check just below and just above its limits; every figure is computed by hand."""

import math
from dataclasses import replace
from typing import Any

import pytest

from mps_experiments.measurement.checks import Evidence, check, foreign_cpu_share
from mps_experiments.measurement.findings import Finding, Severity, Thresholds
from mps_experiments.measurement.gpu_work import GpuWork
from mps_experiments.measurement.outputs import OutputDifference, OutputDigest, TensorDigest
from mps_experiments.measurement.samples import WorkerSamples
from mps_experiments.measurement.statistics import whole_window_ns
from mps_experiments.measurement.telemetry import CoreUse, CpuUsage, GpuSample, Telemetry
from tests.records import samples

INVALID, WARNING = Severity.INVALID, Severity.WARNING
LIMITS = Thresholds()
# Two workers side by side for one second, a core each.
STEADY = (samples(0, 0, *[100] * 10), samples(1, 0, *[100] * 10))


def usage(cpu_s: float = 0.0, wait_s: float | None = 0.0) -> CpuUsage:
    return CpuUsage(
        user_s=cpu_s, system_s=0.0, voluntary_switches=0, involuntary_switches=0, run_queue_wait_s=wait_s
    )


def traced(rank: int, with_work: int = 3, **fields: Any) -> GpuWork:
    return replace(GpuWork(rank=rank, method="traced", iterations=3, with_work=with_work), **fields)


def evidence(*workers: WorkerSamples, **fields: Any) -> Evidence:
    """Faultless evidence of these workers (by default of `STEADY`), apart from the fields given."""
    workers = workers or STEADY
    faultless = Evidence(
        samples=workers,
        kept=True,
        core_speeds=[None for _ in workers],
        usage=[usage() for _ in workers],
        cores=[(worker.rank,) for worker in workers],
        on_gpu=True,
        mps_on=False,
        telemetry=None,
        own_pids=frozenset({100, 101}),
        listed_pids=frozenset({100, 101}),
        foreign_load=(),
        foreign_daemons=(),
        parity=None,
        factory=False,
        outputs={},
        gpu_work=[traced(worker.rank) for worker in workers],
        descendants=(),
        product_errors={},
    )
    return replace(faultless, **fields)


def findings(*workers: WorkerSamples, limits: Thresholds = LIMITS, **fields: Any) -> tuple[Finding, ...]:
    return check(evidence(*workers, **fields), limits)


def only(*workers: WorkerSamples, **fields: Any) -> Finding:
    found = findings(*workers, **fields)
    assert len(found) == 1, found
    return found[0]


def assert_is(
    found: Finding, check_name: str, severity: Severity, value: float | None, limit: float | None, text: str
) -> None:
    assert (found.check, found.severity, found.limit) == (check_name, severity, limit)
    assert found.value == (None if value is None else pytest.approx(value))
    assert found.text == text


def test_a_faultless_run_has_no_findings() -> None:
    assert findings() == ()
    assert findings(samples(0, 0, *[100] * 10)) == ()


# parity


def difference(excess: float, largest: float = 0.25) -> OutputDifference:
    return OutputDifference(identical=False, largest=largest, excess=excess, where="0.boxes", compared=8)


def test_replicas_within_the_tolerance_agree() -> None:
    assert findings(parity=difference(1.0)) == ()
    assert findings(parity=OutputDifference(identical=True, largest=0, excess=0, where="", compared=8)) == ()


def test_replicas_that_compute_different_outputs_make_the_run_invalid() -> None:
    assert_is(
        only(parity=difference(1.001)),
        "parity",
        INVALID,
        1.001,
        1.0,
        "replicas computed different outputs: they differ by 0.25 in 0.boxes "
        "(allowed: 0.0001 + 0.001 of the value); "
        "raise validity.output_rtol or output_atol to accept it",
    )


def test_who_gives_a_factory_is_told_to_seed_it() -> None:
    text = only(parity=difference(1.001), factory=True).text
    assert "seed the factory's weights and inputs (torch.manual_seed in build)" in text
    assert "validity.output_rtol" in text


def test_outputs_of_different_shapes_have_a_finite_value_that_json_can_carry() -> None:
    found = only(parity=difference(float("inf"), float("inf")))
    assert (found.severity, found.value) == (INVALID, 1e300)


# nonfinite_outputs


def output(*nonfinite: int) -> OutputDigest:
    """Tensors of eight values, so many of which are no number."""
    return tuple(
        TensorDigest(
            name=f"{place}.boxes",
            shape=(2, 4),
            dtype="float32",
            hashed=8,
            sha256="",
            values=(),
            nonfinite=count,
        )
        for place, count in enumerate(nonfinite)
    )


@pytest.mark.parametrize("on_gpu", [True, False])
def test_outputs_that_are_no_number_make_the_run_invalid_on_the_cpu_too(on_gpu: bool) -> None:
    outputs = {1: output(3, 0, 8), 0: output(0, 0, 0)}
    assert_is(
        only(outputs=outputs, on_gpu=on_gpu),
        "nonfinite_outputs",
        INVALID,
        None,
        None,
        "outputs are NaN or infinite (worker 1: 3 of 8 values in 0.boxes, 8 of 8 values in 2.boxes); "
        "accept them with validity.nonfinite_outputs=true",
    )


def test_outputs_that_are_no_number_are_accepted_where_the_user_says_so() -> None:
    limits = Thresholds(nonfinite_outputs=True)
    assert findings(outputs={0: output(8), 1: output(8)}, limits=limits) == ()
    assert findings(outputs={0: output(0), 1: ()}) == ()


def test_an_output_that_is_one_tensor_is_called_the_output() -> None:
    alone = replace(output(1)[0], name="")
    assert "1 of 8 values in the output" in only(samples(0, 0, 100), outputs={0: (alone,)}).text


# gpu_work and descendants


@pytest.mark.parametrize(("with_work", "idle"), [(0, 3), (2, 1)])
def test_a_worker_with_an_iteration_that_ran_nothing_on_the_gpu_makes_the_run_invalid(
    with_work: int, idle: int
) -> None:
    found = only(gpu_work=[traced(0), traced(1, with_work)])
    text = f"worker 1 ran no GPU operation in {idle} of 3 traced iterations"
    assert_is(found, "gpu_work", INVALID, None, None, text)


def test_copies_between_host_and_gpu_are_told_beside_the_missing_work() -> None:
    found = only(gpu_work=[traced(0), traced(1, 0, copies=6)])
    assert found.text.endswith("in 3 of 3 traced iterations, only 6 copies between host and GPU")


@pytest.mark.parametrize(
    ("gpu_work", "text"),
    [
        ([], "GPU work not proved for workers 0, 1"),
        ([traced(0)], "GPU work not proved for worker 1"),
        ([traced(0), traced(1, 2, method="operators")], "GPU work not proved for worker 1"),
    ],
)
def test_work_that_is_not_proved_is_a_warning_unless_it_may_be_another_process_s(
    gpu_work: list[GpuWork], text: str
) -> None:
    assert_is(only(gpu_work=gpu_work), "gpu_work", WARNING, None, None, text)
    found = only(gpu_work=gpu_work, descendants=(7, 8))
    started = "processes that the workers started were on the GPU (pid 7, 8)"
    assert_is(found, "gpu_work", INVALID, None, None, f"{text}, and {started}: it may be theirs")


def test_operators_that_pytorch_was_seen_to_run_prove_the_work() -> None:
    assert findings(gpu_work=[traced(rank, method="operators") for rank in (0, 1)]) == ()


def test_helpers_of_workers_that_do_their_own_work_are_a_warning() -> None:
    found = only(descendants=(7,))
    assert (found.check, found.severity) == ("descendants", WARNING)
    assert "(pid 7): the figures cover more processes than procs" in found.text


def test_idle_workers_whose_helpers_are_on_the_gpu_are_told_together() -> None:
    found = only(gpu_work=[traced(0), traced(1, 0)], descendants=(7,))
    assert (found.check, found.severity) == ("gpu_work", INVALID)
    assert found.text.endswith("; processes that the workers started were on the GPU (pid 7)")


@pytest.mark.parametrize(("share", "warned"), [(0.01, 0), (0.0099, 1)])
def test_a_gpu_that_computes_a_hundredth_of_the_time_or_less_is_a_warning(share: float, warned: int) -> None:
    found = findings(gpu_work=[traced(0, busy_share=0.4), traced(1, busy_share=share)])
    assert [(each.check, each.severity) for each in found] == [("little_gpu_work", WARNING)] * warned
    assert all("for worker 1 in only 0.99% of the traced pass" in each.text for each in found)


def test_on_the_cpu_nobody_asks_for_work_on_a_gpu() -> None:
    assert findings(gpu_work=[traced(0, 0)], descendants=(7,), on_gpu=False) == ()


# wrong_products


@pytest.mark.parametrize("error", [0.56, math.inf])
def test_products_that_are_wrong_under_an_sm_cap_make_the_run_invalid(error: float) -> None:
    found = only(product_errors={1: {"float32": 1e-6, "bfloat16": 0.003, "float16": error}})
    assert (found.check, found.severity, found.limit) == ("wrong_products", INVALID, 0.02)
    assert found.value == min(error, 1e300)
    assert (
        f"worker 1 computes wrong matrix products under its SM cap: relative error {error:.2g}" in found.text
    )
    assert "in float16" in found.text


def test_products_as_exact_as_their_type_are_right() -> None:
    assert findings(product_errors={0: {"float32": 1e-6, "bfloat16": 0.003, "float16": 4e-4}}) == ()


# foreign_daemon

DAEMON = "a foreign MPS daemon (pid 7) serves /tmp/nvidia-mps"
LENIENT = Thresholds(foreign_daemon_invalid=False)


def test_a_foreign_daemon_makes_a_run_without_mps_invalid() -> None:
    found = only(foreign_daemons=(DAEMON,))
    expected = f"mps=off, but {DAEMON}: quit it, or accept it with validity.foreign_daemon_invalid=false"
    assert_is(found, "foreign_daemon", INVALID, None, None, expected)


@pytest.mark.parametrize(("mps_on", "limits"), [(False, LENIENT), (True, LENIENT), (True, LIMITS)])
def test_a_foreign_daemon_that_is_accepted_or_beside_our_own_is_a_warning(
    mps_on: bool, limits: Thresholds
) -> None:
    found = only(foreign_daemons=(DAEMON, "another"), mps_on=mps_on, limits=limits)
    assert_is(found, "foreign_daemon", WARNING, None, None, f"{DAEMON}; another")


def test_a_foreign_daemon_says_nothing_about_a_run_on_the_cpu() -> None:
    assert findings(foreign_daemons=(DAEMON,), on_gpu=False) == ()


# common_window


def finishing_after(milliseconds: int) -> tuple[WorkerSamples, WorkerSamples]:
    """Two workers, the second of which is done after so many of 1,000 ms."""
    return samples(0, 0, *[100] * 10), samples(1, 0, *[milliseconds // 10] * 10)


def test_on_the_cpu_only_different_outputs_make_a_run_invalid() -> None:
    hot = Telemetry(gpu=(GpuSample(at_ns=500_000_000, clock_event_reasons=("hw_slowdown",)),))
    differ = OutputDifference(identical=False, largest=1.0, excess=9.0, where="0", compared=1)
    on_gpu, on_cpu = (
        {each.check: each.severity for each in findings(telemetry=hot, parity=differ, on_gpu=on_gpu)}
        for on_gpu in (True, False)
    )
    assert on_gpu == {"parity": INVALID, "throttling": INVALID}
    assert on_cpu == {"parity": INVALID, "throttling": WARNING}


def test_a_worker_that_finishes_early_is_a_warning_with_a_fixed_window() -> None:
    assert_is(
        only(*finishing_after(900), kept=False),
        "common_window",
        WARNING,
        0.9,
        0.95,
        "window=fixed: worker 1 finished early; all workers ran together for only 90% of the makespan, so "
        "throughput, latency and ratio partly describe fewer workers",
    )


@pytest.mark.parametrize(
    ("milliseconds", "kept", "warned"), [(950, False, 0), (940, False, 1), (810, True, 0)]
)
def test_the_common_window_has_its_limit_at_95_percent_unless_the_load_is_kept_up(
    milliseconds: int, kept: bool, warned: int
) -> None:
    found = findings(*finishing_after(milliseconds), kept=kept)
    assert [(each.check, each.severity) for each in found] == [("common_window", WARNING)] * warned


def test_workers_that_never_ran_together_have_no_common_window() -> None:
    found = {each.check: each for each in findings(samples(0, 0, 400), samples(1, 600, 400), kept=False)}
    assert (found["common_window"].value, found["common_window"].severity) == (0.0, WARNING)
    assert "for only 0% of the makespan" in found["common_window"].text


# unequal_workers


@pytest.mark.parametrize(
    ("speeds", "what"),
    [
        ([None, None], "workers"),
        ([100.0, 90.0], "workers"),
        ([100.0, None], "workers"),
        ([100.0, 70.0], "cores"),
    ],
)
def test_workers_of_unequal_speed_are_a_warning_that_blames_the_cores_only_if_they_were_seen_to_differ(
    speeds: list[float | None], what: str
) -> None:
    found = only(samples(0, 0, *[100] * 10), samples(1, 0, *[150] * 10), core_speeds=speeds)
    assert_is(found, "unequal_workers", WARNING, 1.5, 1.25, f"{what} of unequal speed: 100 to 150 ms")


def test_workers_within_a_quarter_of_each_other_are_equal() -> None:
    assert findings(samples(0, 0, *[100] * 10), samples(1, 0, *[125] * 10)) == ()


# start_skew


def starting_at(milliseconds: int) -> tuple[WorkerSamples, WorkerSamples]:
    """The second worker starts so late; the makespan is 10 s, and both end together."""
    return samples(0, 0, 10_000), samples(1, milliseconds, 10_000 - milliseconds)


@pytest.mark.parametrize("milliseconds", [101, 1999])
def test_a_worker_that_starts_late_is_found(milliseconds: int) -> None:
    found = [each for each in findings(*starting_at(milliseconds)) if each.check == "start_skew"]
    assert len(found) == 1
    text = (
        f"the last worker started {milliseconds}.0 ms after the first, "
        f"{milliseconds / 10_000:.1%} of the makespan"
    )
    assert_is(found[0], "start_skew", WARNING, milliseconds / 10_000, 0.01, text)


def test_a_start_skew_of_a_hundredth_is_none() -> None:
    assert findings(*starting_at(100)) == ()


# throttling and power_cap


def clocks(
    reason: str,
    of_100: int,
    mean_mhz: int = 1500,
    max_mhz: int | None = 1980,
    low_mhz: int | None = None,
) -> Telemetry:
    """A hundred readings inside the window; the first `of_100` have the reason."""
    low = mean_mhz if low_mhz is None else low_mhz
    inside = tuple(
        GpuSample(
            at_ns=number * 10_000_000,
            sm_clock_mhz=low if number == 0 else mean_mhz,
            clock_event_reasons=(reason,) if number < of_100 else (),
        )
        for number in range(100)
    )
    after = GpuSample(at_ns=2_000_000_000, sm_clock_mhz=1, clock_event_reasons=(reason,))
    return Telemetry(gpu=(*inside, after), sm_clock_max_mhz=max_mhz)


@pytest.mark.parametrize(
    "reason", ["hw_slowdown", "sw_thermal_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown"]
)
def test_throttling_in_more_than_a_twentieth_of_the_readings_makes_the_run_invalid(reason: str) -> None:
    assert findings(telemetry=clocks(reason, of_100=5)) == ()
    assert_is(
        only(telemetry=clocks(reason, of_100=6, low_mhz=1200)),
        "throttling",
        INVALID,
        0.06,
        0.05,
        f"the GPU's clock was held down ({reason}) in 6% of 100 readings, down to 1200 MHz of 1980 MHz",
    )


def test_throttling_for_several_reasons_names_all_of_them() -> None:
    both = GpuSample(at_ns=500_000_000, clock_event_reasons=("sw_thermal_slowdown", "hw_slowdown"))
    found = only(telemetry=Telemetry(gpu=(both,)))
    assert found.text == (
        "the GPU's clock was held down (hw_slowdown, sw_thermal_slowdown) in 100% of 1 readings"
    )


@pytest.mark.parametrize("reason", ["gpu_idle", "applications_clocks_setting", "sync_boost"])
def test_other_reasons_for_a_clock_are_no_finding(reason: str) -> None:
    assert findings(telemetry=clocks(reason, of_100=100)) == ()


def test_readings_outside_the_window_say_nothing_about_it() -> None:
    hot = GpuSample(at_ns=1_000_000_001, clock_event_reasons=("hw_slowdown",))
    assert findings(telemetry=Telemetry(gpu=(hot,))) == ()
    assert findings(telemetry=Telemetry(gpu=(replace(hot, at_ns=1_000_000_000),)))


def test_the_power_limit_is_a_warning_above_a_twentieth_of_the_readings() -> None:
    assert findings(telemetry=clocks("sw_power_cap", of_100=5)) == ()
    assert_is(
        only(telemetry=clocks("sw_power_cap", of_100=6, low_mhz=1400)),
        "power_cap",
        WARNING,
        0.06,
        0.05,
        "the power limit held the GPU's clock down in 6% of 100 readings, down to 1400 MHz of 1980 MHz",
    )


@pytest.mark.parametrize(("mean_mhz", "found"), [(981, 0), (980, 1), (979, 1)])
def test_the_power_limit_counts_only_where_the_mean_clock_fell_by_a_fiftieth(
    mean_mhz: int, found: int
) -> None:
    telemetry = clocks("sw_power_cap", of_100=100, mean_mhz=mean_mhz, max_mhz=1000)
    assert [each.check for each in findings(telemetry=telemetry)] == ["power_cap"] * found


def test_where_the_highest_clock_is_unknown_the_power_limit_is_believed() -> None:
    telemetry = clocks("sw_power_cap", of_100=100, mean_mhz=1980, max_mhz=None)
    assert_is(
        only(telemetry=telemetry),
        "power_cap",
        WARNING,
        1.0,
        0.05,
        "the power limit held the GPU's clock down in 100% of 100 readings, down to 1980 MHz",
    )


# foreign_gpu

SEEN = ("process 7 was on the GPU before the workers", "process 8 came to the GPU during the run")


def shares(**by_pid: float) -> Telemetry:
    """Shares of the GPU by process, written ``pid7=0.5``."""
    return Telemetry(gpu_share_by_pid={int(pid.removeprefix("pid")): share for pid, share in by_pid.items()})


@pytest.mark.parametrize(
    ("own", "pid7", "pid8", "severity", "limit"),
    [(0.9, 0.02, 0.03, WARNING, 0.0), (0.9, 0.02, 0.04, INVALID, 0.05)],
)
def test_what_other_processes_used_of_the_gpu_is_summed(
    own: float, pid7: float, pid8: float, severity: Severity, limit: float
) -> None:
    found = only(telemetry=shares(pid100=own, pid8=pid8, pid7=pid7, pid9=0.0), foreign_load=SEEN)
    text = f"other processes (pid 7, 8) used {pid7 + pid8:.0%} of the GPU"
    assert_is(found, "foreign_gpu", severity, pid7 + pid8, limit, text)


def test_in_a_short_window_only_processes_that_were_listed_count_as_others() -> None:
    """NVML's shares reach back to before it: a run that has just ended is in them, too."""
    short = [samples(rank, 0, *[50] * 10) for rank in (0, 1)]
    telemetry = shares(pid100=0.9, pid7=0.3)
    assert findings(*short, telemetry=telemetry) == ()
    found = only(*short, telemetry=telemetry, listed_pids=frozenset({100, 101, 7}))
    assert found.text == "other processes (pid 7) used 30% of the GPU"


def test_workers_and_the_mps_server_are_not_foreign() -> None:
    own_pids = frozenset({100, 101, 4242})
    telemetry = shares(pid100=0.4, pid101=0.4, pid4242=0.9)
    assert findings(telemetry=telemetry, own_pids=own_pids) == ()
    assert only(telemetry=telemetry).text == "other processes (pid 4242) used 90% of the GPU"


def test_a_process_that_was_seen_but_used_nothing_is_a_warning() -> None:
    found = only(telemetry=shares(pid100=0.9, pid7=0.0), foreign_load=SEEN)
    assert_is(found, "foreign_gpu", WARNING, None, None, "; ".join(SEEN))


@pytest.mark.parametrize(
    "telemetry",
    [shares(pid7=0.9), shares(), Telemetry(gpu_share_by_pid=None), None],
    ids=["pids of another namespace", "nothing counted", "NVML does not tell", "no telemetry"],
)
def test_where_shares_cannot_be_told_apart_only_a_seen_process_is_a_warning(
    telemetry: Telemetry | None,
) -> None:
    assert findings(telemetry=telemetry) == ()
    found = only(telemetry=telemetry, foreign_load=SEEN[:1])
    assert_is(found, "foreign_gpu", WARNING, None, None, SEEN[0])


# shared_cores and core_wait


@pytest.mark.parametrize(
    ("cores", "value", "text"),
    [
        ([(0,), (0,)], 2.0, "2 workers share 1 CPU core"),
        ([(0, 1), (0, 1), (0, 1)], 1.5, "3 workers share 2 CPU cores"),
    ],
)
def test_fewer_cores_than_workers_are_a_warning(
    cores: list[tuple[int, ...]], value: float, text: str
) -> None:
    workers = [samples(rank, 0, *[100] * 10) for rank in range(len(cores))]
    assert_is(only(*workers, cores=cores), "shared_cores", WARNING, value, 1.0, text)


@pytest.mark.parametrize("cores", [[(0,), (1,)], [(0, 1), (0, 1)], [(0, 1, 2)] * 2, [(), ()]])
def test_enough_or_unknown_cores_are_no_finding(cores: list[tuple[int, ...]]) -> None:
    assert findings(cores=cores) == ()


def test_a_worker_that_waits_for_a_core_is_named() -> None:
    found = only(usage=[usage(wait_s=0.05), usage(wait_s=0.06)])
    text = "worker 1 waited for a CPU core in 6% of its time at work"
    assert_is(found, "core_wait", WARNING, 0.06, 0.05, text)


def test_a_wait_is_no_longer_than_the_window_and_not_told_of_a_few_milliseconds() -> None:
    text = "worker 0 waited for a CPU core in 100% of its time at work"
    assert_is(
        only(samples(0, 0, *[100] * 10), usage=[usage(wait_s=5.0)]), "core_wait", WARNING, 1.0, 0.05, text
    )
    assert findings(samples(0, 0, *[9] * 10), usage=[usage(wait_s=0.5)]) == ()


def test_a_wait_that_is_not_told_is_no_finding() -> None:
    assert findings(usage=[usage(wait_s=None), None]) == ()


# foreign_cpu


def on_cores(
    busy: dict[int, float], stolen: dict[int, float] | None = None, seconds: float = 1.0, own_s: float = 0.0
) -> Telemetry:
    return Telemetry(
        cores=CoreUse(seconds=seconds, busy_s=busy, stolen_s=stolen or dict.fromkeys(busy, 0.0)),
        own_cpu_s=own_s,
    )


def test_what_neither_worker_used_of_their_own_cores_is_foreign() -> None:
    """1.2 s busy, 1.0 s of it ours, over two cores for one second; core 5 is nobody's concern."""
    telemetry = on_cores({0: 0.7, 1: 0.5, 5: 1.0})
    assert_is(
        only(telemetry=telemetry, usage=[usage(0.5), usage(0.5)]),
        "foreign_cpu",
        WARNING,
        0.1,
        0.05,
        "other processes or the hypervisor used 10% of the workers' CPU cores",
    )


@pytest.mark.parametrize(
    ("foreign_s", "severity"),
    [(0.098, None), (0.102, WARNING), (1.9, WARNING)],
)
def test_foreign_cpu_time_is_a_warning_above_5_percent(foreign_s: float, severity: Severity | None) -> None:
    found = findings(telemetry=on_cores({0: foreign_s, 1: 0.0}))
    assert [(each.check, each.severity) for each in found] == (
        [("foreign_cpu", severity)] if severity else []
    )


def test_time_that_the_hypervisor_took_counts() -> None:
    telemetry = on_cores({0: 0.5, 1: 0.5}, stolen={0: 0.5, 1: 0.7, 5: 9.0})
    found = only(telemetry=telemetry, usage=[usage(0.5), usage(0.5)])
    assert (found.check, found.severity) == ("foreign_cpu", WARNING)
    assert found.value == pytest.approx(0.6)


def test_unpinned_workers_have_their_share_over_all_cores_and_the_parent_s_time_is_ours() -> None:
    """Four cores for two seconds; 3.0 s busy, of which 1.0 s are the workers' and 1.2 s the parent's."""
    telemetry = on_cores(dict.fromkeys(range(4), 0.75), seconds=2.0, own_s=1.2)
    unpinned = evidence(
        telemetry=telemetry, cores=[(0, 1, 2, 3)] * 2, usage=[usage(0.4), usage(0.6)], foreign_load=()
    )
    assert foreign_cpu_share(unpinned) == pytest.approx(0.8 / (2 * 4))


def test_the_parent_s_time_is_not_on_the_cores_of_pinned_workers() -> None:
    telemetry = on_cores({0: 0.5, 1: 0.5}, own_s=0.9)
    assert foreign_cpu_share(evidence(telemetry=telemetry)) == pytest.approx(0.5)


def test_cores_that_are_less_busy_than_the_workers_say_have_no_foreign_time() -> None:
    telemetry = on_cores({0: 0.4, 1: 0.4})
    assert foreign_cpu_share(evidence(telemetry=telemetry, usage=[usage(0.5)] * 2)) == 0.0


@pytest.mark.parametrize(
    "fields",
    [
        {"telemetry": on_cores({0: 0.9, 1: 0.9}, seconds=0.49)},
        {"telemetry": on_cores({5: 0.9})},
        {"telemetry": Telemetry(cores=None)},
        {"telemetry": None},
        {"telemetry": on_cores({0: 0.9, 1: 0.9}), "usage": [usage(), None]},
        {"telemetry": on_cores({0: 0.9, 1: 0.9}), "cores": [(), ()]},
    ],
    ids=[
        "too short",
        "other cores",
        "the kernel does not tell",
        "no telemetry",
        "a worker did not tell",
        "cores unknown",
    ],
)
def test_foreign_cpu_time_that_cannot_be_known_is_none(fields: dict[str, Any]) -> None:
    assert foreign_cpu_share(evidence(**fields)) is None
    assert findings(**fields) == ()


def test_half_a_second_is_long_enough_for_the_kernel_s_hundredths() -> None:
    telemetry = on_cores({0: 0.25, 1: 0.25}, seconds=0.5)
    assert foreign_cpu_share(evidence(telemetry=telemetry)) == pytest.approx(0.5)


# drift


@pytest.mark.parametrize(
    ("last_ms", "word"),
    [(111, "11% slower"), (151, "51% slower"), (89, "11% faster"), (49, "51% faster")],
)
def test_a_worker_whose_latency_drifts_is_found(last_ms: int, word: str) -> None:
    drifting = samples(0, 0, 100, 100, 100, 100, 100, 100, last_ms, last_ms, last_ms)
    text = f"worker 0 became {word} from the first third to the last"
    assert_is(only(drifting), "drift", WARNING, abs(last_ms - 100) / 100, 0.1, text)


@pytest.mark.parametrize("last_ms", [109, 91])
def test_a_drift_below_a_tenth_is_none(last_ms: int) -> None:
    assert findings(samples(0, 0, *[100] * 6, *[last_ms] * 3)) == ()


def test_a_drift_is_between_medians_so_that_one_slow_iteration_is_none() -> None:
    assert findings(samples(0, 0, 100, 100, 190, 100, 100, 100, 100, 190, 100)) == ()


def test_below_nine_iterations_there_are_no_thirds() -> None:
    assert findings(samples(0, 0, 100, 100, 100, 100, 100, 199, 199, 199)) == ()
    found = only(samples(0, 0, 100, 100, 100, 100, 100, 100, 199, 199, 199))
    assert (found.check, found.severity) == ("drift", WARNING)


def test_an_iteration_in_the_middle_belongs_to_neither_third() -> None:
    """Eleven iterations: the thirds are the first and the last three."""
    assert findings(samples(0, 0, *[100] * 3, *[150] * 5, *[100] * 3)) == ()


# outliers


def with_outliers(of_99: int, slow_ms: int = 201) -> WorkerSamples:
    """99 iterations of which so many, in the middle third, are slow."""
    return samples(0, 0, *[100] * 33, *[slow_ms] * of_99, *[100] * (66 - of_99))


def test_many_iterations_above_twice_the_median_are_a_warning() -> None:
    assert_is(
        only(with_outliers(2)),
        "outliers",
        WARNING,
        2 / 99,
        0.02,
        "2 of 99 iterations took over twice their worker's median",
    )


def test_iterations_of_twice_the_median_are_no_outliers() -> None:
    assert findings(with_outliers(2, slow_ms=200)) == ()


def test_a_fiftieth_of_the_iterations_is_not_too_many() -> None:
    assert findings(samples(0, 0, *[100] * 40, 201, 201, *[100] * 58)) == ()


def test_a_single_slow_iteration_is_never_a_finding() -> None:
    assert findings(samples(0, 0, 100, 100, 100, 300, 100)) == ()


def test_outliers_are_counted_over_all_workers_against_the_median_of_each() -> None:
    fast = samples(0, 0, *[50] * 10, 101, *[50] * 10)
    slow = samples(1, 0, *[100] * 5, 201, *[100] * 4)
    found = [each for each in findings(fast, slow) if each.check == "outliers"]
    assert [each.text for each in found] == ["2 of 31 iterations took over twice their worker's median"]
    assert found[0].value == pytest.approx(2 / 31)


# all of them


def test_the_grave_findings_come_first_each_group_in_the_order_of_the_checks() -> None:
    found = findings(
        foreign_daemons=(DAEMON,),
        mps_on=True,
        foreign_load=SEEN,
        parity=difference(2.0),
        telemetry=replace(clocks("hw_slowdown", of_100=100), own_cpu_s=0.0),
        cores=[(0,), (0,)],
    )
    assert [(each.check, each.severity) for each in found] == [
        ("parity", INVALID),
        ("throttling", INVALID),
        ("foreign_daemon", WARNING),
        ("foreign_gpu", WARNING),
        ("shared_cores", WARNING),
    ]


def finding_at(limits: Thresholds) -> dict[str, Severity]:
    """A run with something of everything, judged by these limits."""
    telemetry = clocks("hw_slowdown", of_100=50)
    telemetry = replace(
        telemetry,
        gpu=tuple(
            replace(each, clock_event_reasons=(*(each.clock_event_reasons or ()), "sw_power_cap"))
            for each in telemetry.gpu
        ),
        gpu_share_by_pid={100: 0.5, 7: 0.5},
        cores=CoreUse(seconds=1.0, busy_s={0: 0.5, 1: 0.5}, stolen_s={}),
    )
    late = samples(0, 0, *[100] * 6, 150, 250, 150), samples(1, 300, *[100] * 6, 150, 250)
    found = findings(
        *late,
        limits=limits,
        telemetry=telemetry,
        usage=[usage(wait_s=0.3)] * 2,
        foreign_daemons=(DAEMON,),
        kept=False,
        outputs={0: output(1)},
    )
    return {each.check: each.severity for each in found}


NONE_OF_IT = Thresholds(
    common_window_warn=0,
    start_skew_warn=9,
    unequal_workers_warn=9,
    throttled_invalid=9,
    power_capped_warn=9,
    drift_warn=9,
    outliers_warn=9,
    foreign_gpu_invalid=9,
    foreign_cpu_warn=9,
    core_wait_warn=9,
    foreign_daemon_invalid=False,
    nonfinite_outputs=True,
)
ALWAYS_THERE = {"foreign_daemon": WARNING, "foreign_gpu": WARNING}  # they warn without a limit


@pytest.mark.parametrize(
    ("field", "value", "check_name", "severity"),
    [
        ("common_window_warn", 1.0, "common_window", WARNING),
        ("start_skew_warn", 0.0, "start_skew", WARNING),
        ("unequal_workers_warn", 0.0, "unequal_workers", WARNING),
        ("throttled_invalid", 0.0, "throttling", INVALID),
        ("power_capped_warn", 0.0, "power_cap", WARNING),
        ("drift_warn", 0.0, "drift", WARNING),
        ("outliers_warn", 0.0, "outliers", WARNING),
        ("foreign_gpu_invalid", 0.0, "foreign_gpu", INVALID),
        ("foreign_cpu_warn", 0.0, "foreign_cpu", WARNING),
        ("core_wait_warn", 0.0, "core_wait", WARNING),
        ("foreign_daemon_invalid", True, "foreign_daemon", INVALID),
        ("nonfinite_outputs", False, "nonfinite_outputs", INVALID),
    ],
)
def test_each_threshold_moves_its_own_check_and_no_other(
    field: str, value: Any, check_name: str, severity: Severity
) -> None:
    assert finding_at(NONE_OF_IT) == ALWAYS_THERE
    changed: dict[str, Any] = {field: value}
    assert finding_at(replace(NONE_OF_IT, **changed)) == ALWAYS_THERE | {check_name: severity}


def test_the_whole_window_goes_from_the_first_start_to_the_last_end() -> None:
    assert whole_window_ns(starting_at(100)) == (0, 10_000_000_000)
    assert whole_window_ns((samples(0, 5, 10), samples(1, 2, 4))) == (2_000_000, 15_000_000)
