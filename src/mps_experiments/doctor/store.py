"""Whether the tracking store can be reached; nothing is created or migrated in it."""

from collections.abc import Iterator
from pathlib import Path

from mps_experiments.config import TrackingConfig
from mps_experiments.doctor.finding import Finding, fail, ok
from mps_experiments.errors import ConfigError, without_passwords
from mps_experiments.tracking.addresses import check_tracking

_NAME = "tracking store"
_ELSE = "name another with tracking.uri=, or use tracking=none and `mps_experiments.sync` later"


def store_findings(uri: str | None, output_dir: str, timeout_s: float) -> Iterator[Finding]:
    """Look at the store as a sweep does.

    Args:
        uri: A tracking address; None for the database in the output folder, ``none`` for no store.
        output_dir: The output folder, which may not be there yet.
        timeout_s: Seconds for a server to answer.
    """
    if uri == "none":
        yield ok(_NAME, "none: records on disk only")
        return
    from mps_experiments.tracking.mlflow_tracker import MlflowTracker  # MLflow costs a second

    try:
        folder = Path(output_dir).expanduser().absolute()
        check_tracking(TrackingConfig(uri=uri))
        address = uri or f"sqlite:///{folder / 'mlflow.db'}"
        MlflowTracker(address, "doctor", folder, TrackingConfig().timeout_s, timeout_s).look()
    except (ConfigError, RuntimeError) as error:  # RuntimeError: a ~user that nobody is
        yield fail(_NAME, str(error), _ELSE)
        return
    yield ok(_NAME, without_passwords(address))
