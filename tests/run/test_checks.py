"""Every check just below and just above its limits; every figure is computed by hand."""

import math
from dataclasses import replace
from typing import Any

import pytest

from mps_experiments.config.schema import Thresholds
from mps_experiments.record.findings import Finding, Severity
from mps_experiments.record.gpu_work import GpuWork
from mps_experiments.record.outputs import OutputDifference, OutputDigest, TensorDigest
from mps_experiments.record.samples import WorkerSamples
from mps_experiments.record.statistics import whole_window_ns
from mps_experiments.record.telemetry import THROTTLING, CoreUse, CpuUsage, GpuSample, Telemetry
from mps_experiments.run.checks import Evidence, check, foreign_cpu_share
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
    """Make faultless evidence of these workers (by default of `STEADY`), apart from the fields given."""
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


def difference(excess: float, largest: float = 0.25) -> OutputDifference:
    return OutputDifference(identical=False, largest=largest, excess=excess, where="0.boxes", compared=8)


def output(*nonfinite: int) -> OutputDigest:
    """Make tensors of eight values, this many of which are NaN or infinite."""
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


def finishing_after(milliseconds: int) -> tuple[WorkerSamples, WorkerSamples]:
    """Make two workers, the second of which is done after this many of 1,000 ms."""
    return samples(0, 0, *[100] * 10), samples(1, 0, *[milliseconds // 10] * 10)


def starting_at(milliseconds: int) -> tuple[WorkerSamples, WorkerSamples]:
    """Make two workers, the second this late; the makespan is 10 s, and both end together."""
    return samples(0, 0, 10_000), samples(1, milliseconds, 10_000 - milliseconds)


def clocks(
    reason: str, of_100: int, mean_mhz: int = 1500, max_mhz: int | None = 1980, low_mhz: int | None = None
) -> Telemetry:
    """Make a hundred readings inside the window; the first `of_100` have the reason."""
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


def reading(at_ms: int, *reasons: str) -> Telemetry:
    return Telemetry(gpu=(GpuSample(at_ns=at_ms * 1_000_000, clock_event_reasons=reasons),))


def shares(**by_pid: float) -> Telemetry:
    """Make shares of the GPU by process, written ``pid7=0.5``."""
    return Telemetry(gpu_share_by_pid={int(pid.removeprefix("pid")): share for pid, share in by_pid.items()})


def on_cores(
    busy: dict[int, float], stolen: dict[int, float] | None = None, seconds: float = 1.0, own_s: float = 0.0
) -> Telemetry:
    return Telemetry(
        cores=CoreUse(seconds=seconds, busy_s=busy, stolen_s=stolen or dict.fromkeys(busy, 0.0)),
        own_cpu_s=own_s,
    )


def alone(*latencies_ms: int) -> WorkerSamples:
    return samples(0, 0, *latencies_ms)


SHORT = [samples(rank, 0, *[50] * 10) for rank in (0, 1)]
SEEN = ("process 7 was on the GPU before the workers", "process 8 came to the GPU during the run")
DAEMON = "a foreign MPS daemon (pid 7) serves /tmp/nvidia-mps"
LENIENT = Thresholds(foreign_daemon_invalid=False)
# Telemetry that does not tell whose use of the GPU was foreign.
UNTOLD = {
    "pids of another namespace": shares(pid7=0.9),
    "no shares counted": shares(),
    "no shares from NVML": Telemetry(gpu_share_by_pid=None),
    "no telemetry": None,
}
# Evidence from which the foreign use of the CPU cannot be computed.
UNKNOWN_CPU: dict[str, dict[str, Any]] = {
    "CPU time of too short a window": {"telemetry": on_cores({0: 0.9, 1: 0.9}, seconds=0.49)},
    "CPU time of other cores": {"telemetry": on_cores({5: 0.9})},
    "no CPU time from the kernel": {"telemetry": Telemetry(cores=None)},
    "no CPU time of a worker": {"telemetry": on_cores({0: 0.9, 1: 0.9}), "usage": [usage(), None]},
    "CPU time of unknown cores": {"telemetry": on_cores({0: 0.9, 1: 0.9}), "cores": [(), ()]},
}

NOTHING_TO_FIND = {
    "two workers": evidence(),
    "one worker": evidence(alone(*[100] * 10)),
    "replicas within the tolerance": evidence(parity=difference(1.0)),
    "outputs without NaN, or none": evidence(outputs={0: output(0), 1: ()}),
    "operators on the GPU": evidence(gpu_work=[traced(rank, method="operators") for rank in (0, 1)]),
    "a GPU that computes for a hundredth": evidence(gpu_work=[traced(0), traced(1, busy_share=0.01)]),
    "a worker that did nothing on the GPU, on the CPU": evidence(
        gpu_work=[traced(0, 0)], descendants=(7,), on_gpu=False
    ),
    "products as exact as their type": evidence(
        product_errors={0: {"float32": 1e-6, "bfloat16": 0.003, "float16": 4e-4}}
    ),
    "a foreign daemon, on the CPU": evidence(foreign_daemons=(DAEMON,), on_gpu=False),
    "a fixed window that is common for 95 %": evidence(*finishing_after(950), kept=False),
    "a worker that was done early and kept up the load": evidence(*finishing_after(810)),
    "a worker slower by a quarter": evidence(alone(*[100] * 10), samples(1, 0, *[125] * 10)),
    "a start late by a hundredth": evidence(*starting_at(100)),
    **{f"{reason} in 5 %": evidence(telemetry=clocks(reason, of_100=5)) for reason in sorted(THROTTLING)},
    **{
        f"{reason} all the time": evidence(telemetry=clocks(reason, of_100=100))
        for reason in ("gpu_idle", "applications_clocks_setting", "sync_boost")
    },
    "throttling after the window": evidence(telemetry=reading(1001, "hw_slowdown")),
    "the power limit in 5 %": evidence(telemetry=clocks("sw_power_cap", of_100=5)),
    "the power limit without effect": evidence(
        telemetry=clocks("sw_power_cap", of_100=100, mean_mhz=981, max_mhz=1000)
    ),
    # In a short window NVML's shares reach back to a run that has just ended.
    "an unlisted process, short window": evidence(*SHORT, telemetry=shares(pid100=0.9, pid7=0.3)),
    "workers and their MPS server": evidence(
        telemetry=shares(pid100=0.4, pid101=0.4, pid4242=0.9), own_pids=frozenset({100, 101, 4242})
    ),
    **{name: evidence(telemetry=telemetry) for name, telemetry in UNTOLD.items()},
    **{
        f"cores {cores}": evidence(cores=cores)
        for cores in ([(0,), (1,)], [(0, 1), (0, 1)], [(0, 1, 2)] * 2, [(), ()])
    },
    "a wait in a window of 90 ms": evidence(alone(*[9] * 10), usage=[usage(wait_s=0.5)]),
    "unknown waits": evidence(usage=[usage(wait_s=None), None]),
    "4.9 % of the cores used by others": evidence(telemetry=on_cores({0: 0.098, 1: 0.0})),
    **{name: evidence(**fields) for name, fields in UNKNOWN_CPU.items()},
    "a drift of 9 %": evidence(alone(*[100] * 6, *[109] * 3)),
    "a drift of -9 %": evidence(alone(*[100] * 6, *[91] * 3)),
    "one slow iteration in a third": evidence(alone(100, 100, 190, 100, 100, 100, 100, 190, 100)),
    "a drift of eight iterations": evidence(alone(*[100] * 5, *[199] * 3)),
    # Of eleven iterations the thirds are the first and the last three.
    "slow iterations in the middle": evidence(alone(*[100] * 3, *[150] * 5, *[100] * 3)),
    "iterations of twice the median": evidence(alone(*[100] * 33, 200, 200, *[100] * 64)),
    "a fiftieth of the iterations": evidence(alone(*[100] * 40, 201, 201, *[100] * 58)),
    "a single slow iteration": evidence(alone(100, 100, 100, 300, 100)),
}


def test_just_below_its_limit_no_check_finds_anything() -> None:
    found = {name: check(each, LIMITS) for name, each in NOTHING_TO_FIND.items()}
    assert {name: each for name, each in found.items() if each} == {}


STARTED = "processes that the workers started were on the GPU (pid 7, 8)"
UNPROVED = {
    "nobody's work": ([], "GPU work not proved for workers 0, 1"),
    "one worker's work": ([traced(0)], "GPU work not proved for worker 1"),
    "work without operators": (
        [traced(0), traced(1, 2, method="operators")],
        "GPU work not proved for worker 1",
    ),
}
MIXED = (samples(0, 0, *[50] * 10, 101, *[50] * 10), samples(1, 0, *[100] * 5, 201, *[100] * 4))


Expected = tuple[str, Severity, str, float | None, float | None]


def finding(
    check: str, severity: Severity, part: str, value: float | None = None, limit: float | None = None
) -> Expected:
    """Return what one finding must say: `part` is the part of its text with the figures."""
    return check, severity, part, value, limit


def idle(part: str) -> Expected:
    return finding("gpu_work", INVALID, f"worker 1 ran no GPU operation in {part}")


TRACED_OF_3 = "3 of 3 traced iterations"
HALF = [usage(0.5), usage(0.5)]
NAN = {1: output(3, 0, 8), 0: output(0, 0, 0)}
NAN_TEXT = "(worker 1: 3 of 8 values in 0.boxes, 8 of 8 values in 2.boxes)"
ONE_FINDING: dict[str, tuple[Evidence, Expected]] = {
    "replicas beyond the tolerance": (
        evidence(parity=difference(1.001)),
        finding("parity", INVALID, "0.25 in 0.boxes (allowed: 0.0001 + 0.001 of the value)", 1.001, 1.0),
    ),
    **{
        f"NaN, on the GPU: {on_gpu}": (
            evidence(outputs=NAN, on_gpu=on_gpu),
            finding("nonfinite_outputs", INVALID, NAN_TEXT),
        )
        for on_gpu in (True, False)
    },
    **{
        f"a worker with {some} of 3 iterations on the GPU": (
            evidence(gpu_work=[traced(0), traced(1, some)]),
            idle(f"{3 - some} of 3 traced iterations"),
        )
        for some in (0, 2)
    },
    "a worker that only copies": (
        evidence(gpu_work=[traced(0), traced(1, 0, copies=6)]),
        idle(f"{TRACED_OF_3}, only 6 copies between host and GPU"),
    ),
    "an idle worker whose helpers are on the GPU": (
        evidence(gpu_work=[traced(0), traced(1, 0)], descendants=(7, 8)),
        idle(f"{TRACED_OF_3}; {STARTED}"),
    ),
    **{
        name: (evidence(gpu_work=work), finding("gpu_work", WARNING, text))
        for name, (work, text) in UNPROVED.items()
    },
    **{
        f"{name}, which may be a helper's": (
            evidence(gpu_work=work, descendants=(7, 8)),
            finding("gpu_work", INVALID, f"{text}, and {STARTED}: it may be theirs"),
        )
        for name, (work, text) in UNPROVED.items()
    },
    "helpers beside workers that compute": (
        evidence(descendants=(7, 8)),
        finding("descendants", WARNING, STARTED),
    ),
    "a GPU that hardly computes": (
        evidence(gpu_work=[traced(0, busy_share=0.4), traced(1, busy_share=0.0099)]),
        finding("little_gpu_work", WARNING, "worker 1 in only 0.99 % of the traced pass", 0.0099, 0.01),
    ),
    **{
        f"products with an error of {error}": (
            evidence(product_errors={1: {"float32": 1e-6, "bfloat16": 0.003, "float16": error}}),
            finding("wrong_products", INVALID, f"{error:.2g} in float16", min(error, 1e300), 0.02),
        )
        for error in (0.56, math.inf)
    },
    "a foreign daemon without MPS": (
        evidence(foreign_daemons=(DAEMON,)),
        finding("foreign_daemon", INVALID, f"mps=off, but {DAEMON}"),
    ),
    "foreign daemons beside our own": (
        evidence(foreign_daemons=(DAEMON, "another"), mps_on=True),
        finding("foreign_daemon", WARNING, f"{DAEMON}; another"),
    ),
    "a worker that is done early": (
        evidence(*finishing_after(940), kept=False),
        finding("common_window", WARNING, "worker 1 finished early", 0.94, 0.95),
    ),
    **{
        f"workers of unequal speed on cores of speed {speeds}": (
            evidence(alone(*[100] * 10), samples(1, 0, *[150] * 10), core_speeds=speeds),
            finding("unequal_workers", WARNING, f"{what} of unequal speed: 100 to 150 ms", 1.5, 1.25),
        )
        for speeds, what in (
            ([None, None], "workers"),
            ([100.0, 90.0], "workers"),
            ([100.0, None], "workers"),
            ([100.0, 70.0], "cores"),
        )
    },
    "a late start": (
        evidence(*starting_at(101)),
        finding("start_skew", WARNING, "101.0 ms after the first, 1.0 % of the makespan", 0.0101, 0.01),
    ),
    **{
        f"{reason} in 6 %": (
            evidence(telemetry=clocks(reason, of_100=6, low_mhz=1200)),
            finding(
                "throttling", INVALID, f"({reason}) in 6 % of 100 readings, down to 1200 MHz", 0.06, 0.05
            ),
        )
        for reason in sorted(THROTTLING)
    },
    "throttling for two reasons at the end of the window": (
        evidence(telemetry=reading(1000, "sw_thermal_slowdown", "hw_slowdown")),
        finding(
            "throttling", INVALID, "(hw_slowdown, sw_thermal_slowdown) in 100 % of 1 readings", 1.0, 0.05
        ),
    ),
    **{
        f"the power limit in {of_100} % at {mean} MHz of {most}": (
            evidence(telemetry=clocks("sw_power_cap", of_100, mean, most, low)),
            finding("power_cap", WARNING, f"{of_100} % of 100 readings, {down}", of_100 / 100, 0.05),
        )
        for of_100, mean, most, low, down in (
            (6, 1500, 1980, 1400, "down to 1400 MHz of 1980 MHz"),
            (100, 980, 1000, 980, "down to 980 MHz of 1000 MHz"),
            (100, 1980, None, 1980, "down to 1980 MHz"),
        )
    },
    **{
        f"other processes with {others * 100:.0f} %": (
            evidence(
                telemetry=shares(pid100=0.9, pid8=others - 0.02, pid7=0.02, pid9=0.0), foreign_load=SEEN
            ),
            finding(
                "foreign_gpu", severity, f"(pid 7, 8) used {others * 100:.0f} % of the GPU", others, limit
            ),
        )
        for others, severity, limit in ((0.05, WARNING, 0.0), (0.06, INVALID, 0.05))
    },
    "a listed process, short window": (
        evidence(*SHORT, telemetry=shares(pid100=0.9, pid7=0.3), listed_pids=frozenset({100, 101, 7})),
        finding("foreign_gpu", INVALID, "(pid 7) used 30 % of the GPU", 0.3, 0.05),
    ),
    "an MPS server that is not ours": (
        evidence(telemetry=shares(pid100=0.4, pid101=0.4, pid4242=0.9)),
        finding("foreign_gpu", INVALID, "(pid 4242) used 90 % of the GPU", 0.9, 0.05),
    ),
    **{
        f"processes that were seen, {name}": (
            evidence(telemetry=telemetry, foreign_load=SEEN),
            finding("foreign_gpu", WARNING, "; ".join(SEEN)),
        )
        for name, telemetry in (UNTOLD | {"without use": shares(pid100=0.9, pid7=0.0)}).items()
    },
    "two workers on one core": (
        evidence(cores=[(0,), (0,)]),
        finding("shared_cores", WARNING, "2 workers share 1 CPU core", 2.0, 1.0),
    ),
    "three workers on two cores": (
        evidence(*[samples(rank, 0, *[100] * 10) for rank in range(3)], cores=[(0, 1)] * 3),
        finding("shared_cores", WARNING, "3 workers share 2 CPU cores", 1.5, 1.0),
    ),
    "a wait of 6 %": (
        evidence(usage=[usage(wait_s=0.05), usage(wait_s=0.06)]),
        finding("core_wait", WARNING, "worker 1 waited for a CPU core in 6 %", 0.06, 0.05),
    ),
    "a wait longer than the window": (
        evidence(alone(*[100] * 10), usage=[usage(wait_s=5.0)]),
        finding("core_wait", WARNING, "worker 0 waited for a CPU core in 100 %", 1.0, 0.05),
    ),
    # 1.2 s busy, 1.0 s of it ours, over two cores for one second; core 5 does not count.
    "others on the workers' cores": (
        evidence(telemetry=on_cores({0: 0.7, 1: 0.5, 5: 1.0}), usage=HALF),
        finding("foreign_cpu", WARNING, "used 10 %", 0.1, 0.05),
    ),
    "others with 5.1 %": (
        evidence(telemetry=on_cores({0: 0.102, 1: 0.0})),
        finding("foreign_cpu", WARNING, "used 5 %", 0.051, 0.05),
    ),
    "the hypervisor": (
        evidence(telemetry=on_cores({0: 0.5, 1: 0.5}, stolen={0: 0.5, 1: 0.7, 5: 9.0}), usage=HALF),
        finding("foreign_cpu", WARNING, "used 60 %", 0.6, 0.05),
    ),
    **{
        f"a last third of {last_ms} ms": (
            evidence(alone(*[100] * 6, *[last_ms] * 3)),
            finding("drift", WARNING, f"worker 0 became {word} from", abs(last_ms - 100) / 100, 0.1),
        )
        for last_ms, word in (
            (111, "11 % slower"),
            (151, "51 % slower"),
            (89, "11 % faster"),
            (49, "51 % faster"),
        )
    },
    "two outliers of 99 iterations": (
        evidence(alone(*[100] * 33, 201, 201, *[100] * 64)),
        finding("outliers", WARNING, "2 of 99 iterations", 2 / 99, 0.02),
    ),
}


def test_just_above_its_limit_a_check_finds_one_thing() -> None:
    wrong = {}
    for name, (judged, (check_name, severity, part, value, limit)) in ONE_FINDING.items():
        found = check(judged, LIMITS)
        told = [(each.check, each.severity, part in each.text, each.limit, each.value) for each in found]
        if told != [(check_name, severity, True, limit, pytest.approx(value) if value else value)]:
            wrong[name] = found
    assert wrong == {}


def test_outputs_of_different_shapes_have_a_finite_value_that_json_can_carry() -> None:
    found = only(parity=difference(float("inf"), float("inf")))
    assert (found.severity, found.value) == (INVALID, 1e300)


@pytest.mark.parametrize("mps_on", [True, False])
def test_what_the_user_accepts_makes_no_run_invalid(mps_on: bool) -> None:
    accepting = Thresholds(nonfinite_outputs=True)
    assert findings(outputs={0: output(8), 1: output(8)}, limits=accepting) == ()
    found = only(foreign_daemons=(DAEMON,), mps_on=mps_on, limits=LENIENT)
    assert (found.severity, found.text) == (WARNING, DAEMON)


def test_on_the_cpu_only_different_outputs_make_a_run_invalid() -> None:
    hot = reading(500, "hw_slowdown")
    on_gpu, on_cpu = (
        {each.check: each.severity for each in findings(telemetry=hot, parity=difference(9.0), on_gpu=on_gpu)}
        for on_gpu in (True, False)
    )
    assert on_gpu == {"parity": INVALID, "throttling": INVALID}
    assert on_cpu == {"parity": INVALID, "throttling": WARNING}


def test_workers_that_never_ran_together_have_no_common_window() -> None:
    found = {each.check: each for each in findings(alone(400), samples(1, 600, 400), kept=False)}
    assert (found["common_window"].value, found["common_window"].severity) == (0.0, WARNING)
    assert "for only 0 % of the makespan" in found["common_window"].text


def test_outliers_are_counted_over_all_workers_against_the_median_of_each() -> None:
    found = [each for each in findings(*MIXED) if each.check == "outliers"]
    assert [each.text for each in found] == ["2 of 31 iterations took over twice their worker's median"]
    assert found[0].value == pytest.approx(2 / 31)


# The parent's time counts as ours where workers are not pinned: then it may have been on their cores.
# Unpinned: four cores for two seconds; 3.0 s busy, of which 1.0 s are the workers' and 1.2 s the parent's.
FOREIGN_CPU_SHARES = {
    "unpinned": (
        evidence(
            telemetry=on_cores(dict.fromkeys(range(4), 0.75), seconds=2.0, own_s=1.2),
            cores=[(0, 1, 2, 3)] * 2,
            usage=[usage(0.4), usage(0.6)],
        ),
        0.8 / (2 * 4),
    ),
    "pinned": (evidence(telemetry=on_cores({0: 0.5, 1: 0.5}, own_s=0.9)), 0.5),
    "half a second": (evidence(telemetry=on_cores({0: 0.25, 1: 0.25}, seconds=0.5)), 0.5),
    "less than the workers say": (
        evidence(telemetry=on_cores({0: 0.4, 1: 0.4}), usage=[usage(0.5)] * 2),
        0.0,
    ),
    **{name: (evidence(**fields), None) for name, fields in UNKNOWN_CPU.items()},
}


def test_the_share_of_the_cores_that_others_used() -> None:
    found = {name: foreign_cpu_share(each) for name, (each, _) in FOREIGN_CPU_SHARES.items()}
    assert found == {
        name: None if share is None else pytest.approx(share)
        for name, (_, share) in FOREIGN_CPU_SHARES.items()
    }


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


# Check -> its threshold.
FIELDS = {
    "throttling": "throttled_invalid",
    "power_cap": "power_capped_warn",
    "foreign_gpu": "foreign_gpu_invalid",
    **{
        name: f"{name}_warn"
        for name in (
            *("common_window", "start_skew", "unequal_workers"),
            *("drift", "outliers", "foreign_cpu", "core_wait"),
        )
    },
}


def test_each_check_has_a_threshold_of_its_own() -> None:
    """The value that was found, as the limit, silences the check; the other limits are as before."""
    loud, silenced = [], set()
    for judged, (check_name, _, _, value, limit) in ONE_FINDING.values():
        field = FIELDS.get(check_name)
        if field and value is not None and limit == getattr(LIMITS, field):
            silenced.add(check_name)
            at_limit: dict[str, Any] = {field: value + (1e-9 if field != "common_window_warn" else 0)}
            loud += [each for each in check(judged, replace(LIMITS, **at_limit)) if each.limit == limit]
    assert loud == []
    assert silenced == set(FIELDS)


def test_the_whole_window_goes_from_the_first_start_to_the_last_end() -> None:
    assert whole_window_ns((samples(0, 5, 10), samples(1, 2, 4))) == (2_000_000, 15_000_000)
