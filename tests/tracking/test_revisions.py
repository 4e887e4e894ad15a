"""MLflow's schemas are known from its scripts."""

from pathlib import Path

from mps_experiments.tracking.revisions import Revisions, mlflow_revisions, read_revisions
from tests.doctor.conftest import write


def test_the_newest_is_the_one_that_none_follows(tmp_path: Path) -> None:
    write(tmp_path / "a.py", 'revision = "a1"\ndown_revision = None\n')
    write(tmp_path / "b.py", "revision: str = 'b2'\ndown_revision: str | None = 'a1'\n")
    write(tmp_path / "c.py", 'revision = "c3"\ndown_revision = ("b2", "a1")\n')
    assert read_revisions(tmp_path) == Revisions(newest="c3", all=frozenset({"a1", "b2", "c3"}))


def test_scripts_that_end_in_two_or_none_tell_nothing(tmp_path: Path) -> None:
    assert read_revisions(tmp_path) is None
    write(tmp_path / "a.py", 'revision = "a1"\ndown_revision = None\n')
    write(tmp_path / "b.py", 'revision = "b2"\ndown_revision = None\n')
    assert read_revisions(tmp_path) is None


def test_those_of_the_installed_mlflow_are_read() -> None:
    found = mlflow_revisions()
    assert found is not None
    assert found.newest in found.all
    assert "451aebb31d03" in found.all  # its first, of 2019
