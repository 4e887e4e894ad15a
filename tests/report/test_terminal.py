"""What is printed, without a terminal and on one."""

from io import StringIO

import pytest
from rich.console import Console
from rich.table import Table

from mps_experiments.record.worker import Forward
from mps_experiments.report.tables import tables
from mps_experiments.report.terminal import Terminal, announce, complain, status
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


def test_on_a_terminal_a_command_is_one_line_to_copy() -> None:
    terminal, file = on_a_terminal(40)
    command = "run it: python -m mps_experiments --config-dir '/a folder/with spaces' experiment=recommended"
    terminal.to_copy(command)
    assert file.getvalue() == f"{command}\n"


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
