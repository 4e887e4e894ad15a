"""Names of SQLite files, and patience with one that is locked."""

from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from mps_experiments.tracking.sqlite import database_of, patiently


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("sqlite:////data/mlflow.db", Path("/data/mlflow.db")),
        ("sqlite:///mlflow.db", Path("mlflow.db")),
        ("sqlite:////data/mlflow.db?timeout=5", Path("/data/mlflow.db")),
        ("sqlite:///file:/data/mlflow.db?mode=ro&uri=true", Path("/data/mlflow.db")),
        ("sqlite:///:memory:", None),
        ("sqlite://", None),
        ("http://127.0.0.1:5000", None),
        ("postgresql://host/db", None),
    ],
)
def test_the_file_of_an_address(uri: str, path: Path | None) -> None:
    assert database_of(uri) == path


def failing(message: str, times: int) -> tuple[list[int], object]:
    """A call that fails so often, and the list of its calls."""
    calls: list[int] = []

    def call() -> str:
        calls.append(len(calls))
        if len(calls) <= times:
            raise MlflowException(message)
        return "done"

    return calls, call


def test_a_locked_database_is_asked_again_until_it_is_free() -> None:
    calls, call = failing("(sqlite3.OperationalError) database is locked", 2)
    assert patiently(call, 60.0) == "done"  # type: ignore[arg-type]
    assert len(calls) == 3


def test_a_database_that_stays_locked_is_given_up() -> None:
    calls, call = failing("database is locked", 1000)
    with pytest.raises(MlflowException, match="locked"):
        patiently(call, 0.0)  # type: ignore[arg-type]
    assert len(calls) <= 2


def test_any_other_failure_is_passed_on_at_once() -> None:
    calls, call = failing("attempt to write a readonly database", 1)
    with pytest.raises(MlflowException, match="readonly"):
        patiently(call, 60.0)  # type: ignore[arg-type]
    assert len(calls) == 1
