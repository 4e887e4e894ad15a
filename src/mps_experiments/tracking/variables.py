"""MLflow's own variables: what MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME of the shell mean for a sweep.

`conf/tracking` reads them where the command line names neither, so every record says where it was logged.
"""

import os
from collections.abc import Mapping

from mps_experiments.config.schema import EXPERIMENT_VARIABLE, STORE_VARIABLE, TrackingConfig
from mps_experiments.errors import without_passwords

_ID_VARIABLE = "MLFLOW_EXPERIMENT_ID"


def option_of(uri: str) -> str:
    """Name what an address came from, so that a mistake in it is looked for in the right place."""
    return STORE_VARIABLE if os.environ.get(STORE_VARIABLE) == uri else "tracking.uri"


def store_named_outside() -> str | None:
    """Return the address that the shell names; None if it names none."""
    return os.environ.get(STORE_VARIABLE) or None


def variables_line(tracking: TrackingConfig, environment: Mapping[str, str]) -> str:
    """Tell in one line which of the variables are used and which not; empty if there is nothing to tell."""
    if not tracking.enabled:
        return ""
    told = [
        _told(STORE_VARIABLE, "store", tracking.uri, "tracking.uri", environment),
        _told(EXPERIMENT_VARIABLE, "experiment", tracking.experiment, "tracking.experiment", environment),
    ]
    if environment.get(_ID_VARIABLE) and not environment.get(EXPERIMENT_VARIABLE):
        told.append(f"{_ID_VARIABLE} is not used (tracking.experiment takes a name)")
    line = "; ".join(filter(None, told))
    return f"MLflow: {line}" if line else ""


def _told(variable: str, noun: str, used: str | None, option: str, environment: Mapping[str, str]) -> str:
    given = environment.get(variable)
    if not given:
        return ""
    if given == used:
        other = "tracking=sqlite keeps to mlflow.db" if noun == "store" else f"{option}=... names another"
        return f"the {noun} is {without_passwords(given)}, from {variable} ({other})"
    instead = f"{option} is {without_passwords(used)}" if used else "tracking=sqlite keeps to mlflow.db"
    return f"{variable} is not used, since {instead}"
