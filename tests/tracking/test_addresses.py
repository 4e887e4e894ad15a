"""Names of stores are judged before anybody is asked; tests/hostile/test_stores.py has the rest."""

from pathlib import Path

import pytest

from mps_experiments.config.cells import parse
from mps_experiments.config.schema import TrackingConfig
from mps_experiments.errors import ConfigError
from mps_experiments.tracking.addresses import check_tracking, database_of, option_of, variables_line

SERVER = "http://tracking.example:5000"


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
        "sqlite:////tmp/a:b@c.db",
        "databricks",
    ],
)
def test_an_address_without_a_secret_is_taken(uri: str | None) -> None:
    check_tracking(TrackingConfig(uri=uri))


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
@pytest.mark.parametrize("enabled", [True, False])  # the configuration goes into the record all the same
def test_a_secret_is_refused_and_not_shown(uri: str, enabled: bool) -> None:
    with pytest.raises(ConfigError, match="a password in the address") as caught:
        check_tracking(TrackingConfig(uri=uri, enabled=enabled))
    for words in ("MLFLOW_TRACKING_PASSWORD", "PGPASSWORD", ".my.cnf"):
        assert words in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "cret@" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("http://me:se/cret@host", r"^tracking\.uri=http://\*\*\*@host: is no address such as"),
        ("http://host\x1b:5000", "is no address such as"),
        ("sqlite://", "names no file; write sqlite:////the/path/of/mlflow.db"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:////nowhere/x/mlflow.db", "there is no folder /nowhere/x"),
    ],
)
def test_what_can_be_no_store_is_refused(uri: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_tracking(TrackingConfig(uri=uri))


@pytest.mark.parametrize("name", ["mine", "team/mine", "../mine", "ü ß", "x" * 500])
def test_an_experiment_may_have_any_printable_name(name: str) -> None:
    check_tracking(TrackingConfig(experiment=name))


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\0b", "\u202e", "x" * 501])
def test_an_experiment_that_mlflow_or_a_terminal_would_stumble_over_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="must be 1 to 500 printable characters"):
        check_tracking(TrackingConfig(experiment=name))


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("sqlite:////data/mlflow.db", Path("/data/mlflow.db")),
        ("sqlite+pysqlite:////data/mlflow.db?timeout=5", Path("/data/mlflow.db")),
        ("sqlite:///file:/data/mlflow.db?mode=ro&uri=true", Path("/data/mlflow.db")),
        ("sqlite:///:memory:", None),
        ("sqlite://", None),
        ("postgresql://host/db", None),
    ],
)
def test_the_file_of_an_address(uri: str, path: Path | None) -> None:
    assert database_of(uri) == path


def composed(*arguments: str) -> TrackingConfig:
    (cell,) = parse(list(arguments)).cells
    return cell.tracking


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", SERVER)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "lab")


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize(
    ("arguments", "uri", "experiment"),
    [
        ([], SERVER, "lab"),
        (["tracking=server"], SERVER, "lab"),
        (["tracking=sqlite"], None, "lab"),
        (["tracking.uri=sqlite:////x.db"], "sqlite:////x.db", "lab"),
        (["tracking.uri=null"], None, "lab"),
        (["tracking.experiment=mine"], SERVER, "mine"),
    ],
)
def test_variables_count_where_the_command_line_says_nothing(
    arguments: list[str], uri: str | None, experiment: str
) -> None:
    tracking = composed(*arguments)
    assert (tracking.enabled, tracking.uri, tracking.experiment) == (True, uri, experiment)


@pytest.mark.parametrize("empty", [True, False])
def test_without_variables_all_is_as_ever(monkeypatch: pytest.MonkeyPatch, empty: bool) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
        if empty:
            monkeypatch.setenv(name, "")
    assert composed() == TrackingConfig()
    assert composed("tracking=server").uri == "http://127.0.0.1:5000"


@pytest.mark.usefixtures("named")
def test_no_other_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    with pytest.raises(ConfigError, match="reads MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME only") as no:
        parse(["tracking.experiment='${mlflow_variable:AWS_SECRET_ACCESS_KEY,x}'"])
    assert "hunter2" not in str(no.value)


@pytest.mark.parametrize(
    ("tracking", "store", "experiment", "line"),
    [
        (TrackingConfig(uri=SERVER), SERVER, "", f"MLflow: MLFLOW_TRACKING_URI={SERVER} is used"),
        (TrackingConfig(), SERVER, "", f"MLflow: MLFLOW_TRACKING_URI={SERVER} is not used"),
        (TrackingConfig(), "", "lab", "MLflow: MLFLOW_EXPERIMENT_NAME=lab is not used"),
        (TrackingConfig(uri="x"), "http://me:hunter2@h", "", "MLFLOW_TRACKING_URI=http://***@h is not used"),
        (TrackingConfig(enabled=False), SERVER, "lab", ""),
        (TrackingConfig(), "", "", ""),
    ],
)
def test_a_line_tells_which_variables_are_used(
    tracking: TrackingConfig, store: str, experiment: str, line: str
) -> None:
    environment = {"MLFLOW_TRACKING_URI": store, "MLFLOW_EXPERIMENT_NAME": experiment}
    assert variables_line(tracking, environment).removeprefix("MLflow: ") == line.removeprefix("MLflow: ")


def test_a_mistake_in_the_address_is_looked_for_where_it_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    address = "http://me:hunter2@tracking.example:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    assert (option_of(address), option_of(SERVER)) == ("MLFLOW_TRACKING_URI", "tracking.uri")
    with pytest.raises(ConfigError, match=r"^MLFLOW_TRACKING_URI=http://\*\*\*@tracking.example:5000: "):
        check_tracking(composed())
