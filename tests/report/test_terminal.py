"""What is printed, without a terminal and on one."""

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from mps_experiments.record.worker import Forward
from mps_experiments.report.tables import tables
from mps_experiments.report.terminal import Parser, Terminal, announce, complain, status
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
    for expected in ("sweep", "measured window", "4/10", "1/2", "mps=off procs=2 times=5: "):
        assert expected in text
    assert f"{ESCAPE}[32mVALID" in text


def test_the_bar_has_words_for_a_phase_and_no_count_without_a_total() -> None:
    terminal, file = on_a_terminal(100)
    with terminal:
        terminal.cell_started("a run", None)
        for name in ("proof", "environment_teardown", "traced_pass"):
            terminal.phase(name)
    for words in ("proving the MPS state", "ending MPS", "traced pass", "0/1"):
        assert words in file.getvalue()
    assert "/?" not in file.getvalue()


def on_a_terminal(width: int = 40) -> tuple[Terminal, StringIO]:
    file = StringIO()
    return Terminal(1, Console(file=file, force_terminal=True, width=width)), file


def test_on_a_terminal_words_are_wrapped_and_a_path_stays_in_one_piece() -> None:
    terminal, file = on_a_terminal()
    path = "/folder" * 10
    terminal.text(f"{'word ' * 12}\n│ {'cell ' * 12}│\nrecords: {path}")
    assert file.getvalue().splitlines() == [
        *(" ".join(["word"] * 8), " ".join(["word"] * 4), f"│ {'cell ' * 12}│", "records:", path)
    ]


def test_on_a_terminal_the_decision_is_bold_and_no_color_is_respected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal, file = on_a_terminal()
    terminal.decision("pack 16")
    assert file.getvalue() == f"{ESCAPE}[1mpack 16{ESCAPE}[0m\n"
    monkeypatch.setenv("NO_COLOR", "1")
    terminal, file = on_a_terminal()
    terminal.line("x: INVALID")
    assert "[31m" not in file.getvalue()


def test_an_answer_has_its_headline_bold_and_a_line_for_each_further_sentence() -> None:
    terminal, file = on_a_terminal(20)
    terminal.decision("Pack 16. It pays.\n- One does less than sixteen.\n- Open.")
    bold = f"{ESCAPE}[1mPack 16. It pays.{ESCAPE}[0m"
    assert file.getvalue().splitlines() == [bold, "- One does less than", "  sixteen.", "- Open."]
    plain = StringIO()
    Terminal(None, Console(file=plain)).decision("Pack 16.\n- One does less.")
    assert plain.getvalue() == "Pack 16.\n- One does less.\n"


def test_on_a_terminal_words_below_a_table_have_its_whole_width() -> None:
    terminal, file = on_a_terminal(30)
    table = Table("a", title="the title", caption="caption " * 6)
    terminal.show([table])
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    assert lines[-2:] == [" ".join(["caption"] * 3)] * 2


def test_what_is_done_is_a_line_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    announce("composing")
    status("checking")
    assert capsys.readouterr().out == "composing ...\n"


class Screen(StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_with_output_into_a_file_the_status_is_on_standard_error_until_something_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    status("composing")
    announce("checking")
    complain("procs=x: no")
    assert screen.getvalue() == f"composing ...\r{ESCAPE}[Kmps_experiments: procs=x: no\n"
    assert capsys.readouterr().out == "checking ...\n"


def test_the_time_that_is_left_is_in_the_bar_and_elsewhere_a_line_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moment = [0.0]
    monkeypatch.setattr("mps_experiments.report.terminal.time.monotonic", lambda: moment[0])
    file = StringIO()
    terminal = Terminal(3, Console(file=file))
    for moment[0] in (1.0, 61.0, 100.0):
        terminal.cell_finished("")
        terminal.remaining("about 5 min left")
    assert file.getvalue() == "progress: 2 of 3 runs, about 5 min left\n"
    bars, shown = on_a_terminal(100)
    with bars:
        bars.cell_started("a run", 1)
        bars.remaining("about 7 min left")
        bars.cell_finished("")
    assert "about 7 min left" in shown.getvalue()


def test_without_a_terminal_wide_tables_are_not_cut() -> None:
    file = StringIO()
    with Terminal(None, Console(file=file, width=40, soft_wrap=True)) as terminal:
        terminal.show(tables([make_measurement(str(n), procs=n) for n in range(1, 9)]))
    assert file.getvalue().count("1.00 to 1.00") == 4


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


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["output_dir=x", "a"], ("x", False, ["a"])),
        (["--output-dir", "x", "all=true"], ("x", True, [])),
        (["output-dir=x", "all=false", "tracking.uri=y"], ("x", False, ["tracking.uri=y"])),
        (["mps=on,procs=1.json"], ("outputs", False, ["mps=on,procs=1.json"])),
    ],
)
def test_options_may_be_typed_as_those_of_the_program(words: list[str], expected: tuple[object, ...]) -> None:
    parser = Parser(prog="tool")
    parser.add_argument("word", nargs="*")
    parser.add_argument("--output-dir", default="outputs")
    parser.add_argument("--all", action="store_true")
    args = parser.parse_intermixed_args(words)
    assert (args.output_dir, args.all, args.word) == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--output-dir", "x", "--output-dir", "y"], "--output-dir=y: was given before as x; give one value"),
        (["output_dir=a", "--output-dir", "b"], "--output-dir=b: was given before as a"),
        (["output_dir=a", "output-dir=b"], "output-dir=b: was given before as a"),
        (["--out", "x", "--output-dir=y"], "--output-dir=y: was given before as x"),
        (["--all", "all=false"], "all=false: was given before as true"),
        (["--output-dir", "x", "output_dir=x", "--all", "all=true"], ""),
        (["--more", "x", "--more", "y"], ""),
    ],
)
def test_an_option_given_twice_with_different_values_is_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = Parser(prog="tool")
    parser.add_argument("word", nargs="*")
    parser.add_argument("--output-dir", default="outputs")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--more", action="append")
    if not said:
        assert parser.parse_intermixed_args(words).output_dir in ("x", "outputs")
        return
    with pytest.raises(SystemExit, match="2"):
        parser.parse_intermixed_args(words)
    error = capsys.readouterr().err
    assert error.startswith(f"mps_experiments: {said}")
    assert error.count("\n") == 1


def test_a_file_of_such_a_name_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("all=1").touch()
    parser = Parser(prog="tool")
    parser.add_argument("word")
    parser.add_argument("--all", action="store_true")
    assert parser.parse_args(["all=1"]).word == "all=1"
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["all=2", "x"])
    assert ended.value.code == 2


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
