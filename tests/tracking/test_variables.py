"""What MLflow's own variables mean for a sweep: used, or mentioned."""

import pytest

from mps_experiments.config.cells import parse
from mps_experiments.config.schema import TrackingConfig
from mps_experiments.errors import ConfigError
from mps_experiments.tracking.addresses import check_tracking
from mps_experiments.tracking.variables import option_of, variables_line

SERVER = "http://tracking.example:5000"


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
def test_they_count_where_the_command_line_says_nothing(
    arguments: list[str], uri: str | None, experiment: str
) -> None:
    tracking = composed(*arguments)
    assert (tracking.enabled, tracking.uri, tracking.experiment) == (True, uri, experiment)


@pytest.mark.parametrize("empty", [True, False])
def test_without_them_all_is_as_ever(monkeypatch: pytest.MonkeyPatch, empty: bool) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
        if empty:
            monkeypatch.setenv(name, "")
    assert composed() == TrackingConfig()
    assert composed("tracking=server").uri == "http://127.0.0.1:5000"
    assert variables_line(composed(), {"MLFLOW_TRACKING_URI": ""}) == ""


@pytest.mark.usefixtures("named")
def test_no_other_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    with pytest.raises(ConfigError, match="reads MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME only") as no:
        parse(["tracking.experiment='${mlflow_variable:AWS_SECRET_ACCESS_KEY,x}'"])
    assert "hunter2" not in str(no.value)


@pytest.mark.parametrize(
    ("tracking", "line"),
    [
        (
            TrackingConfig(uri=SERVER),
            f"MLflow: the store is {SERVER}, from MLFLOW_TRACKING_URI (tracking=sqlite keeps to mlflow.db)",
        ),
        (
            TrackingConfig(uri="sqlite:////x.db"),
            "MLflow: MLFLOW_TRACKING_URI is not used, since tracking.uri is sqlite:////x.db",
        ),
        (
            TrackingConfig(),
            "MLflow: MLFLOW_TRACKING_URI is not used, since tracking=sqlite keeps to mlflow.db",
        ),
        (TrackingConfig(enabled=False), ""),
    ],
)
def test_a_store_is_told_in_one_line(tracking: TrackingConfig, line: str) -> None:
    assert variables_line(tracking, {"MLFLOW_TRACKING_URI": SERVER}) == line


def test_an_experiment_is_told_too() -> None:
    environment = {"MLFLOW_TRACKING_URI": SERVER, "MLFLOW_EXPERIMENT_NAME": "lab"}
    assert variables_line(TrackingConfig(uri=SERVER, experiment="lab"), environment) == (
        f"MLflow: the store is {SERVER}, from MLFLOW_TRACKING_URI (tracking=sqlite keeps to mlflow.db); "
        "the experiment is lab, from MLFLOW_EXPERIMENT_NAME (tracking.experiment=... names another)"
    )
    assert variables_line(TrackingConfig(), {"MLFLOW_EXPERIMENT_ID": "7"}) == (
        "MLflow: MLFLOW_EXPERIMENT_ID is not used (tracking.experiment takes a name)"
    )


def test_a_mistake_in_the_address_is_looked_for_where_it_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    address = "http://me:hunter2@tracking.example:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    assert (option_of(address), option_of(SERVER)) == ("MLFLOW_TRACKING_URI", "tracking.uri")
    with pytest.raises(ConfigError) as refused:
        check_tracking(composed())
    assert str(refused.value).startswith(
        "MLFLOW_TRACKING_URI=http://***@tracking.example:5000: a password in"
    )
    assert variables_line(composed(), {"MLFLOW_TRACKING_URI": address}).count("hunter2") == 0
