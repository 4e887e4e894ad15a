"""The numbers that options may have."""

import math
from typing import Any

from mps_experiments.config import AUTO, Config, FaultKind
from mps_experiments.errors import ConfigError

_MAX_WORKERS = 1024
_MAX_ITERATIONS = 10_000_000
_MAX_BATCH = 65_536
_MAX_TRIALS = 1000
MAX_TRACED = 1000  # a traced iteration may have thousands of kernels, and all are kept in memory
_MAX_TRACED_S = 10.0
_MIN_WINDOW_S, _MAX_WINDOW_S = 0.01, 86_400.0
_MIN_ROTATE_S, _MAX_ROTATE_S = 0.001, 60.0
_MIN_INTERVAL_S, _MAX_INTERVAL_S = 0.005, 60.0
_MAX_MINUTES = 100_000.0
_MAX_SECONDS = 1_000_000.0  # the kernel's poll takes at most 2**31 milliseconds


def check_numbers(config: Config) -> None:
    """Refuse numbers that cannot be meant.

    Raises:
        ConfigError: With the first that is out of its limits.
    """
    _check_whole("procs", config.procs, 1, _MAX_WORKERS)
    _check_whole_or_auto("times", config.times, 1)
    _check_number("window_s", config.window_s, _MIN_WINDOW_S, _MAX_WINDOW_S)
    _check_whole("order_seed", config.order_seed, 0, 2**32 - 1)
    _check_number("precision", config.precision, 0, 1)
    if not 0 < config.budget_min <= _MAX_MINUTES:  # not a number compares as false, too
        what = f"must be a number of minutes above 0, at most {_MAX_MINUTES:g}"
        raise ConfigError("budget_min", config.budget_min, what)
    _check_whole("repeat", config.repeat, 0, _MAX_ITERATIONS)
    _check_whole_or_auto("workers.warmup", config.workers.warmup, 0)
    _check_number("workers.rotate_s", config.workers.rotate_s, _MIN_ROTATE_S, _MAX_ROTATE_S)
    _check_whole("workload.batch", config.workload.batch, 1, _MAX_BATCH)
    _check_whole("workload.seed", config.workload.seed, 0, 2**63 - 1)
    _check_whole("min_free_disk_mb", config.min_free_disk_mb, 0, 2**40)
    _check_whole("trace.iterations", config.trace.iterations, 0, MAX_TRACED)
    _check_number("trace.min_s", config.trace.min_s, 0, _MAX_TRACED_S)
    _check_interval(config.telemetry.interval_s)
    if not config.output_dir.strip():
        raise ConfigError("output_dir", config.output_dir or "''", "must name a folder")
    _check_number("gpu_wait_s", config.gpu_wait_s, 0, _MAX_SECONDS)
    _check_fault(config)
    for name, value in vars(config.validity).items():
        if not isinstance(value, bool):
            _check_number(f"validity.{name}", value, 0, 1 if name.startswith("common_window") else math.inf)
    for group_name, group in (
        ("mps", config.mps),
        ("workers", config.workers),
        ("trace", config.trace),
        ("telemetry", config.telemetry),
        ("fault", config.fault),
        ("tracking", config.tracking),
    ):
        for name, value in vars(group).items():
            if name.endswith("_timeout_s") or name == "timeout_s":
                _check_seconds(f"{group_name}.{name}", value)


def _check_interval(interval_s: float) -> None:
    """Reading without a pause would disturb what is measured."""
    if interval_s and not _MIN_INTERVAL_S <= interval_s <= _MAX_INTERVAL_S:
        limits = f"0 (off) or a number of seconds from {_MIN_INTERVAL_S:g} to {_MAX_INTERVAL_S:g}"
        raise ConfigError("telemetry.interval_s", interval_s, f"must be {limits}")


def _check_fault(config: Config) -> None:
    fault = config.fault
    _check_whole("fault.trials", fault.trials, 1, _MAX_TRIALS)
    _check_number("fault.newcomer_after_s", fault.newcomer_after_s, 0, _MAX_SECONDS)
    if not 0 <= fault.at < 1:  # not a number compares as false, too
        raise ConfigError("fault.at", fault.at, "must be a number from 0 to below 1")
    if fault.kind is not FaultKind.none:
        if config.times == AUTO:
            raise ConfigError(
                "times", AUTO, "a fault happens after a share of the iterations: give their number"
            )
        _check_whole("fault.worker", fault.worker, 0, config.procs - 1)
    else:
        _check_whole("fault.worker", fault.worker, 0, _MAX_WORKERS - 1)


def _check_whole_or_auto(option: str, value: object, low: int) -> None:
    if value == AUTO or (
        isinstance(value, int) and not isinstance(value, bool) and low <= value <= _MAX_ITERATIONS
    ):
        return
    raise ConfigError(option, value, f"must be {AUTO} or a whole number from {low} to {_MAX_ITERATIONS}")


def _check_whole(option: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ConfigError(option, value, f"must be a whole number from {low} to {high}")


def _check_number(option: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # not a number compares as false, too
        limits = f"of at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
        raise ConfigError(option, value, f"must be a number {limits}")


def _check_seconds(option: str, value: Any) -> None:
    if not 0 < value <= _MAX_SECONDS:  # not a number compares as false, too
        raise ConfigError(option, value, f"must be a number of seconds above 0, at most {_MAX_SECONDS:g}")
