"""What is printed, without a terminal and on one."""

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from mps_experiments.record.worker import Forward
from mps_experiments.report.tables import tables
from mps_experiments.report.terminal import Parser, Terminal, complain
from tests.conftest import SRC
from tests.records import make_measurement

ESCAPE = "\x1b"


def run_a_cell(terminal: Terminal) -> None:
    """Show all that a sweep of two cells does up to the end of its first cell."""
    terminal.cell_started("mps=off procs=2 times=5", 10)
    terminal.phase("measured_window")
    terminal.progress(4)
    terminal.cell_finished("mps=off procs=2 times=5: VALID")


def printed(*, is_terminal: bool, width: int = 80) -> str:
    file = StringIO()
    console = Console(file=file, force_terminal=is_terminal, width=width, soft_wrap=True)
    with Terminal(2, console) as terminal:
        run_a_cell(terminal)
        terminal.show(tables([make_measurement()]))
    return file.getvalue()


def test_without_a_terminal_there_are_plain_lines_only() -> None:
    text = printed(is_terminal=False)
    assert text.startswith("mps=off procs=2 times=5: VALID\nMPS OFF")
    assert ESCAPE not in text
    assert "measured window" not in text


def test_on_a_terminal_the_sweep_and_the_run_have_bars() -> None:
    text = printed(is_terminal=True)
    for expected in ("sweep", "measured window", "4/10", "1/2", "mps=off procs=2 times=5: VALID"):
        assert expected in text
    assert ESCAPE in text


def test_without_a_terminal_wide_tables_are_not_cut() -> None:
    file = StringIO()
    with Terminal(None, Console(file=file, width=40, soft_wrap=True)) as terminal:
        terminal.show(tables([make_measurement(str(n), procs=n) for n in range(1, 9)]))
    assert file.getvalue().count("1.00 to 1.00") == 4


def test_the_parent_wakes_less_often_where_nobody_sees_a_bar() -> None:
    plain, real = Console(file=StringIO()), Console(file=StringIO(), force_terminal=True)
    assert Terminal(1, plain).tick_s > Terminal(1, real).tick_s


def test_a_forward_shows_rank_pid_stream_and_shape() -> None:
    file = StringIO()
    with Terminal(1, Console(file=file, soft_wrap=True)) as terminal:
        terminal.forward(1, 4711, Forward(iteration=3, stream="0x7f00", shape="[100, 4]"))
    assert file.getvalue() == "worker 1 pid 4711 stream 0x7f00 #3: [100, 4]\n"


@pytest.mark.parametrize("text", ["[bold]x[/bold] [/tmp/x]", "my_module:heart:x", "x" * 300])
def test_a_line_is_printed_as_it_is(text: str) -> None:
    file = StringIO()
    with Terminal(1, Console(file=file, soft_wrap=True)) as terminal:
        terminal.line(text)
    assert file.getvalue() == text + "\n"


def test_a_complaint_is_one_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    complain("procs=0: must be a whole number")
    captured = capsys.readouterr()
    assert captured.err == "mps_experiments: procs=0: must be a whole number\n"
    assert captured.out == ""


def test_a_mistake_on_a_command_line_is_one_line_with_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser(prog="python -m mps_experiments.tool")
    parser.add_argument("--count", type=int)
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["--count", "many"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "mps_experiments: argument --count: invalid int value: 'many'; "
        "see python -m mps_experiments.tool --help\n"
    )


SCRIPT = """
import os, signal, sys, tempfile
from mps_experiments.report.terminal import run_and_exit
def main():
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(folder + chr(10))
        sys.stdout.flush()
        {}
    return 0
run_and_exit(main)
"""


@pytest.mark.parametrize(
    ("what", "code", "said"),
    [
        ("pass", 0, ""),
        ("os.kill(os.getpid(), signal.SIGINT)", 130, "mps_experiments: interrupted by SIGINT\n"),
        ("os.kill(os.getpid(), signal.SIGTERM)", 143, ""),
        ("sys.exit(5)", 5, ""),
    ],
)
def test_a_console_script_ends_without_a_traceback_and_leaves_nothing(
    what: str, code: int, said: str
) -> None:
    environment = os.environ | {"PYTHONPATH": str(SRC)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(what)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        restore_signals=True,
    )
    assert (done.returncode, done.stderr) == (code, said)
    assert not Path(done.stdout.strip()).exists()
