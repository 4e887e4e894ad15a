"""Run a sweep's own checks, each with a deadline, and say what to do. Nothing is changed."""

import argparse
import contextlib
import dataclasses
import json
import sys
import textwrap
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from mps_experiments import __version__
from mps_experiments.config.schema import Config, MpsConfig, TrackingConfig
from mps_experiments.errors import ConfigError, in_words, without_passwords
from mps_experiments.machine.gpus import FixedProbe, GpuProbe, open_probe
from mps_experiments.machine.lock_file import LOCK_FOLDER
from mps_experiments.report.command_line import Parser
from mps_experiments.report.terminal import PLAIN_WIDTH
from mps_experiments.run.plan import RunPlan
from mps_experiments.sweep.doctor import findings
from mps_experiments.sweep.doctor.findings import Finding, Level
from mps_experiments.sweep.preflight import plan_cells
from mps_experiments.tracking.addresses import store_named_outside

_DESCRIPTION = """\
Run a sweep's own checks on this machine: driver, GPU, MPS, torch, cores, memory, folder, tracking store.
Each line is OK, WARN or FAIL and says what to do. Nothing is changed."""
_EXIT_CODES = "exit code, by the worst line: 0 all OK; 1 a WARN; 2 a FAIL, or a mistake on the command line"
_TIMEOUT_S = 30.0  # several GPUs without persistence mode, or many daemons, take seconds each
_GRACE_S = 60.0  # for what has deadlines of its own, and cleans up after them
_LEVEL_WIDTH, _NAME_WIDTH = 6, 18
_LEAST_WIDTH = 20  # characters of a finding on a narrow terminal
_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}

OpenGpus = Callable[[], AbstractContextManager[GpuProbe]]


def main(
    arguments: list[str] | None = None, open_gpus: OpenGpus = open_probe, lock_folder: Path = LOCK_FOLDER
) -> int:
    """Look, show, and return the exit code.

    Args:
        arguments: None for those of this process.
        open_gpus: Opens what tells of GPUs.
        lock_folder: Where sweeps lock GPUs.
    """
    args = _parser().parse_args(arguments)
    uri = args.tracking_uri or store_named_outside()
    tracking = TrackingConfig(enabled=uri != "none", uri=None if uri == "none" else uri)
    config = Config(device=args.device, output_dir=args.output_dir, tracking=tracking)
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    console = Console(width=width, soft_wrap=True, highlight=False, markup=False, emoji=False)
    found = []
    for finding in examine(config, args.try_mps, open_gpus, lock_folder):
        found.append(finding)
        if not args.json:
            show(console, finding)
    code = max((each.level.value for each in found), default=Level.OK.value)
    counts = ", ".join(f"{sum(each.level is level for each in found)} {level.name}" for level in Level)
    sys.stdout.write(to_json(found, code) if args.json else f"{counts}; exit code {code}\n")
    return code


def _parser() -> argparse.ArgumentParser:
    defaults = Config()
    parser = Parser(
        prog="python -m mps_experiments.doctor",
        description=_DESCRIPTION,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    parser.add_argument(
        "--device", default=defaults.device, help="as the program's device= (default: %(default)s)"
    )
    parser.add_argument(
        "--output-dir", default=defaults.output_dir, help="as output_dir= (default: %(default)s)"
    )
    parser.add_argument(
        *("--tracking-uri", "--tracking.uri", "--tracking"),
        help="as tracking.uri=, or none (default: MLFLOW_TRACKING_URI, or mlflow.db in the output folder)",
    )
    parser.add_argument(
        "--try-mps", action="store_true", help="start a private MPS daemon for a moment, as each sweep does"
    )
    return parser


def examine(config: Config, try_mps: bool, open_gpus: OpenGpus, lock_folder: Path) -> Iterator[Finding]:
    """Yield every finding as soon as it is made; raises nothing.

    Args:
        config: What a sweep would be started with.
        try_mps: Start a private daemon for a moment.
        open_gpus: Opens what tells of GPUs.
        lock_folder: Where sweeps lock GPUs.
    """
    cells = [
        replace(config, procs=2, mps=MpsConfig(enabled=mps), tracking=TrackingConfig())
        for mps in (False, True)
    ]
    stack = contextlib.ExitStack()
    probe: GpuProbe = FixedProbe()
    plans: list[RunPlan] = []

    def driver() -> Iterable[Finding]:
        nonlocal probe
        probe = stack.enter_context(open_gpus())
        return findings.driver_findings(probe)

    def gpu() -> Iterable[Finding]:
        plans.extend(plan_cells(cells, probe))
        return findings.gpu_findings(plans[0].device, probe)

    def close() -> Iterable[Finding]:
        stack.close()
        return ()

    yield from findings_of("driver", driver)
    yield from findings_of("machine", lambda: findings.machine_findings(probe))
    yield from findings_of("GPU", gpu)
    if plans:
        yield from findings_of("other sweeps", lambda: findings.sweep_findings(plans[0].device, lock_folder))
        yield from findings_of("MPS", lambda: findings.mps_findings(plans))
        yield from findings_of("foreign daemons", lambda: findings.foreign_findings(plans[1]))
        if try_mps:
            yield from findings_of(
                "MPS tried", lambda: findings.trial_findings(plans[1], probe), 2 * _GRACE_S
            )
        patience_s = config.workers.ready_timeout_s + _GRACE_S
        yield from findings_of("torch", lambda: findings.torch_findings(plans[:1]), patience_s)
    yield from findings_of("output folder", lambda: findings.output_findings(config))
    patience_s = config.tracking.connect_timeout_s + config.tracking.timeout_s + _GRACE_S
    yield from findings_of("tracking store", lambda: findings.store_findings(config), patience_s)
    yield from findings_of("driver", close)


def findings_of(
    name: str, look: Callable[[], Iterable[Finding]], timeout_s: float = _TIMEOUT_S
) -> tuple[Finding, ...]:
    """Return what a check finds, up to where it hangs or breaks, which is a finding too.

    The check runs in a daemon thread, left behind if it is late: NVML and file systems have no deadlines.
    """
    found: list[Finding] = []

    def fail(what: str, todo: str) -> None:
        found.append(Finding(name=name, level=Level.FAIL, found=what, todo=todo))

    def run() -> None:
        try:
            for each in look():
                found.append(each)  # noqa: PERF402 - so that those before an error stay
        except ConfigError as error:  # what a sweep would be refused with ends in what would work
            what, _, todo = str(error).partition("; ")
            fail(what, todo or "see `python -m mps_experiments --help`")
        except Exception as error:  # a driver that is lost must not hide the other findings
            fail(f"cannot be checked ({in_words(error)})", "fix that and run the doctor again")

    thread = threading.Thread(target=run, name=f"doctor: {name}", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if thread.is_alive():
        todo = "find out what hangs: a driver, a disk, a name server; a run would hang there, too"
        fail(f"no answer within {timeout_s:g} s", todo)
    return tuple(found)


def show(console: Console, finding: Finding) -> None:
    """Print a finding as one line, and what to do below it."""
    lines = [_one_line(finding.found), *([f"-> {_one_line(finding.todo)}"] if finding.todo else [])]
    margin = " " * (_LEVEL_WIDTH + _NAME_WIDTH)
    if console.is_terminal:
        width = max(_LEAST_WIDTH, console.width - len(margin))
        lines = [part for line in lines for part in textwrap.wrap(line, width, break_long_words=False)]
    level = (finding.level.name.ljust(_LEVEL_WIDTH), _STYLES[finding.level])
    console.print(Text.assemble(level, finding.name.ljust(_NAME_WIDTH), f"\n{margin}".join(lines)))


def to_json(found: Sequence[Finding], code: int) -> str:
    """Return ``{"version", "worst", "exit_code", "findings": [{"name", "level", "found", "todo"}]}``."""
    rows = [dataclasses.asdict(each) | {"level": each.level.name} for each in found]
    content = {"version": __version__, "worst": Level(code).name, "exit_code": code, "findings": rows}
    return json.dumps(content, indent=2) + "\n"


def _one_line(text: str) -> str:
    """Remove line ends, control characters and passwords: other programs and users wrote parts of it."""
    line = " ".join(without_passwords(text).split())
    return "".join(each if each.isprintable() else "?" for each in line)
