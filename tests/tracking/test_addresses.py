"""Addresses are judged before anybody is asked; tests/hostile/test_stores.py has the rest."""

import sqlite3
from pathlib import Path

import pytest

from mps_experiments.config.schema import TrackingConfig
from mps_experiments.errors import ConfigError
from mps_experiments.tracking.addresses import check_tracking


@pytest.mark.parametrize(
    "uri",
    [
        None,
        "http://127.0.0.1:5000",
        "https://mlflow.example.org/base/path@2",
        "http://[::1]:5000",
        "postgresql://mlflow@db.example.org/mlflow",
        "postgresql+psycopg2://db/mlflow?sslmode=require&sslkey=/etc/key.pem",
        "sqlite:///relative.db",
        "databricks",
    ],
)
def test_an_address_without_a_secret_is_taken(uri: str | None) -> None:
    check_tracking(TrackingConfig(uri=uri))


def test_a_database_that_is_there_or_will_be_is_taken(tmp_path: Path) -> None:
    check_tracking(TrackingConfig(uri=f"sqlite:///{tmp_path}/a:b@c.db"))
    (tmp_path / "empty.db").touch()
    check_tracking(TrackingConfig(uri=f"sqlite:///{tmp_path}/empty.db"))
    with sqlite3.connect(tmp_path / "used.db") as connection:
        connection.execute("create table x (y)")
    connection.close()
    check_tracking(TrackingConfig(uri=f"sqlite:///{tmp_path}/used.db"))


@pytest.mark.parametrize(
    "uri",
    [
        "HTTP://me:secret@host",
        "https://secret@host",
        "postgresql://:secret@host/db",
        "mysql+pymysql://me:se@cret@host/db",
        "http://host/?token=secret",
        "http://host/?a=b&API_KEY=secret",
        "mysql://me:secret/x@host/db",
        "ftp://me:secret@host",
    ],
)
def test_a_secret_is_refused_and_not_shown(uri: str) -> None:
    with pytest.raises(
        ConfigError, match="a password in the address would be stored with every run"
    ) as caught:
        check_tracking(TrackingConfig(uri=uri))
    assert "secret" not in str(caught.value)
    assert "cret@" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("postgresql://me:secret@host/db", "PGPASSWORD"),
        ("mysql://me:secret@host/db", "~/.my.cnf"),
        ("http://me:secret@host", "MLFLOW_TRACKING_PASSWORD"),
        ("sqlite://", "names no file; write sqlite:////the/path/of/mlflow.db"),
        ("sqlite:////dev/zero", "is not a file; name a database of MLflow"),
    ],
)
def test_the_line_says_what_would_work(uri: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_tracking(TrackingConfig(uri=uri))


def test_a_password_that_hides_in_half_an_address_is_not_shown_either() -> None:
    with pytest.raises(ConfigError, match="is no address such as http://host:5000") as caught:
        check_tracking(TrackingConfig(uri="http://me:se/cret@host"))
    assert str(caught.value).startswith("tracking.uri=http://***@host: ")


def test_a_secret_is_refused_even_where_nothing_is_tracked() -> None:
    """The configuration goes into the record all the same."""
    with pytest.raises(ConfigError, match="a password in the address"):
        check_tracking(TrackingConfig(uri="http://me:secret@host", enabled=False))


@pytest.mark.parametrize("name", ["mine", "team/mine", "../mine", "ü ß", "x" * 500])
def test_an_experiment_may_have_any_printable_name(name: str) -> None:
    """MLflow makes no path of it: files lie below the number of the run."""
    check_tracking(TrackingConfig(experiment=name))


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\0b", "\u202e", "x" * 501])
def test_an_experiment_that_mlflow_or_a_terminal_would_stumble_over_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="must be 1 to 500 printable characters"):
        check_tracking(TrackingConfig(experiment=name))
