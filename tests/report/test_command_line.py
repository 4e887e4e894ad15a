"""Options in both spellings, mistakes in one line, and the exit code of a console script."""

import signal
from pathlib import Path

import pytest

from mps_experiments.errors import ConfigError, Interrupted
from mps_experiments.report.command_line import Parser, as_command
from tests.conftest import run_python


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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--output", "x.html"],
            "--output: no such option; did you mean --output-dir or --out?; see tool --help",
        ),
        (["--expor=csv"], "--expor: no such option; did you mean --export?; see tool --help"),
        (["a", "--exprot", "csv"], "--exprot: no such option; did you mean --export?; see tool --help"),
        (["--zzz"], "--zzz: no such option; see tool --help"),
    ],
)
def test_the_name_of_an_option_cannot_be_cut_short(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = Parser(prog="tool")
    parser.add_argument("word", nargs="*")
    for option in ("--output-dir", "--out", "--export"):
        parser.add_argument(option)
    assert parser.parse_args(["--", "--zzz"]).word == ["--zzz"]
    with pytest.raises(SystemExit, match="2"):
        parser.parse_intermixed_args(words)
    assert capsys.readouterr().err == f"mps_experiments: {said}\n"


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


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ConfigError("procs", 0, "must be a whole number from 1 on"), 2, "procs=0: must be a whole number"),
        (Interrupted(signal.SIGTERM), 143, "interrupted by SIGTERM"),
        (Interrupted(signal.SIGINT), 130, "interrupted by SIGINT"),
    ],
)
def test_what_ends_a_command_early_is_one_line_and_an_exit_code(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    @as_command
    def main(number: int) -> int:
        if number:
            raise error
        return number

    assert (main(0), main(1)) == (0, code)
    shown = capsys.readouterr().err
    assert shown.startswith(f"mps_experiments: {said}")
    assert shown.count("\n") == 1


def test_a_signal_counts_where_a_library_fails_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    """OmegaConf does, if it is interrupted while it makes a node."""

    @as_command
    def main() -> int:
        try:
            raise Interrupted(signal.SIGINT)
        finally:
            raise ConfigError("procs", 0, "cannot be composed")

    assert main() == 130
    assert capsys.readouterr().err == "mps_experiments: interrupted by SIGINT\n"


def test_errors_that_are_the_cause_of_each_other_come_to_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    @as_command
    def main() -> int:
        inner, outer = ValueError("inner"), ConfigError("procs", 0, "must be 1")
        inner.__cause__, outer.__cause__ = outer, inner
        raise outer

    assert main() == 2
    assert capsys.readouterr().err == "mps_experiments: procs=0: must be 1\n"


def test_an_error_of_the_program_itself_stays_an_error() -> None:
    @as_command
    def main() -> int:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        main()


SCRIPT = """
import os, signal, sys, tempfile
from mps_experiments.report.command_line import run_and_exit
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
    done = run_python("-c", SCRIPT.format(what))
    assert (done.returncode, done.stderr) == (code, said)
    assert not Path(done.stdout.strip()).exists()
