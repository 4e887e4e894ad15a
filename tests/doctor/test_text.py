"""Lines for people and JSON for programs."""

import json
from io import StringIO

import pytest
from rich.console import Console

from mps_experiments.doctor.finding import Finding, fail, ok, warn
from mps_experiments.doctor.text import closing_line, one_line, show, to_console, to_json

ESCAPE = "\x1b"
FINDINGS = [ok("GPU", "H100"), warn("MIG", "odd", "mend it"), fail("disk", "full", "free some")]


def shown(finding: Finding, *, is_terminal: bool, width: int = 80) -> str:
    file = StringIO()
    console = Console(file=file, force_terminal=is_terminal, width=width, soft_wrap=True, highlight=False)
    show(console, finding)
    return file.getvalue()


def test_without_a_terminal_lines_are_plain_aligned_and_whole() -> None:
    long = "word " * 60
    text = shown(warn("control program", long, long), is_terminal=False)
    assert ESCAPE not in text
    assert text == f"WARN  control program   {long.strip()}\n{' ' * 24}-> {long.strip()}\n"


def test_what_is_ok_has_one_line() -> None:
    assert shown(FINDINGS[0], is_terminal=False) == f"OK    {'GPU':<18}H100\n"


def test_on_a_terminal_lines_have_colour_and_are_wrapped_below_one_another() -> None:
    text = shown(warn("MIG", "word " * 30, "mend " * 30), is_terminal=True, width=100)
    first, *others = text.splitlines()
    assert first.startswith(f"{ESCAPE}[33mWARN  {ESCAPE}[0mMIG")
    assert len(others) >= 3
    assert all(line.startswith(" " * 24) and len(line) <= 100 for line in others)


def test_a_narrow_terminal_wraps_itself() -> None:
    assert len(shown(ok("MIG", "word " * 30), is_terminal=True, width=40).splitlines()) == 1


def test_the_last_line_counts_and_tells_the_exit_code() -> None:
    assert closing_line(FINDINGS) == "1 OK, 1 WARN, 1 FAIL; exit code 2"
    assert closing_line(FINDINGS[:1]) == "1 OK, 0 WARN, 0 FAIL; exit code 0"


def test_json_has_all_of_it() -> None:
    content = json.loads(to_json(FINDINGS))
    assert (content["worst"], content["exit_code"]) == ("FAIL", 2)
    assert content["findings"][1] == {"name": "MIG", "level": "WARN", "found": "odd", "todo": "mend it"}
    assert len(content["findings"]) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\n b\t c", "a b c"),
        ("red \x1b[31m", "red ?[31m"),
        ("left \u202e right", "left ? right"),
        ("http://me:geheim@host:5000", "http://***@host:5000"),
        ("[bold]x[/bold]", "[bold]x[/bold]"),
    ],
)
def test_what_others_wrote_is_made_harmless(text: str, expected: str) -> None:
    assert one_line(text) == expected
    assert expected in shown(ok("x", text), is_terminal=False)
    assert json.loads(to_json([ok("x", text)]))["findings"][0]["found"] == expected


def test_a_long_line_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    show(to_console(), ok("GPU", "x" * 500))
    assert capsys.readouterr().out == f"OK    {'GPU':<18}{'x' * 500}\n"
