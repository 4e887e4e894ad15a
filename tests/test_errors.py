"""The errors: what a person reads."""

import pickle
import signal

import pytest

from mps_experiments import errors
from mps_experiments.errors import ConfigError, Interrupted, MpsExperimentsError, WorkerError, in_words


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "procs=0: must be more"),
        (None, "procs=null: must be more"),
        (True, "procs=true: must be more"),
        ("", "procs: must be more"),
        ("a\nb", "procs=a b: must be more"),
    ],
)
def test_a_mistake_is_one_line_with_option_value_and_what_would_work(value: object, shown: str) -> None:
    assert str(ConfigError("procs", value, "must be\nmore")) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:secret@host:5000/x", "http://***@host:5000/x"),
        ("http://secret@host", "http://***@host"),
        ("postgresql://me:se/cr@et@host/db", "postgresql://***@host/db"),
        ("http://host?password=secret&a=b", "http://host?password=***&a=b"),
        ("sqlite:////home/a@b/x.db", "sqlite:////home/a@b/x.db"),
        ("a@b", "a@b"),
    ],
)
def test_a_password_in_an_address_is_never_shown(text: str, shown: str) -> None:
    assert str(ConfigError("tracking.uri", text, "no")) == f"tracking.uri={shown}: no"


def test_what_would_tell_a_terminal_something_is_shown_as_its_code() -> None:
    assert str(ConfigError("device", "\x1b[2J\u202ex\udcff", "no")) == r"device=\x1b[2J\u202ex\udcff: no"


def test_a_very_long_value_is_cut() -> None:
    assert str(ConfigError("times", "9" * 1001, "no")) == f"times={'9' * 1000}...: no"


class MuteError(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise SystemExit


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("no\n such file"), "ValueError: no"),
        (ValueError("\n\nno"), "ValueError: no"),
        (ValueError(), "ValueError"),
        (ValueError(" "), "ValueError"),
        (KeyError("a"), "KeyError: 'a'"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (MuteError(), "MuteError, whose text raises SystemExit"),
        (RuntimeError("x" * 100_000), f"RuntimeError: {'x' * 500}..."),
        (
            ExceptionGroup("some", [ExceptionGroup("more", [MuteError()]), *[ValueError("a")] * 5]),
            "ExceptionGroup: some (6 sub-exceptions); ExceptionGroup: more (1 sub-exception); "
            "MuteError, whose text raises SystemExit; ValueError: a; ValueError: a",
        ),
    ],
)
def test_an_exception_is_named_by_its_type_whatever_its_text(error: BaseException, words: str) -> None:
    assert in_words(error) == words


def test_all_lines_of_an_exception_can_be_told_in_one() -> None:
    assert in_words(ValueError("no\n such file"), whole=True) == "ValueError: no such file"


def test_a_failed_worker_is_named_by_its_rank() -> None:
    error = WorkerError(3, "was killed by SIGKILL", "Traceback ...")
    assert str(error) == "worker 3 was killed by SIGKILL"
    assert (error.rank, error.traceback) == (3, "Traceback ...")


def test_an_interruption_passes_every_handler_of_ordinary_errors() -> None:
    error = Interrupted(signal.SIGTERM)
    assert not isinstance(error, Exception)
    assert str(error) == "interrupted by SIGTERM"


def test_the_docstring_draws_every_error() -> None:
    assert errors.__doc__ is not None
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, MpsExperimentsError | Interrupted):
            assert name in errors.__doc__


def test_the_root_error_can_cross_a_process_boundary() -> None:
    assert str(pickle.loads(pickle.dumps(MpsExperimentsError("text")))) == "text"  # noqa: S301
