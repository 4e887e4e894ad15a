"""Read and refuse what names an MLflow store, before MLflow is asked: options, and MLflow's own variables.

`conf/tracking` reads the variables where the command line names neither store nor experiment, so every record
says where it was logged.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from mps_experiments.config.places import is_folder
from mps_experiments.config.schema import EXPERIMENT_VARIABLE, STORE_VARIABLE, TrackingConfig
from mps_experiments.errors import ConfigError, without_passwords

_MAX_EXPERIMENT = 500  # characters, MLflow's own limit
_SQLITE = re.compile(r"sqlite(\+\w+)?:///(file:)?(?P<path>[^?]*)")
_SECRET_KEY = re.compile(r"(.*password|passwd|pwd|pass|.*token|.*secret|api_?key)", re.IGNORECASE)
_ELSEWHERE = (
    "a password in the address would be stored with every run; write it without and set "
    "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN "
    "(PostgreSQL: PGPASSWORD; MySQL: ?read_default_file=~/.my.cnf)"
)


def own_database(output_dir: Path) -> Path:
    """Return the file of the embedded store, which is used where no other is named."""
    return output_dir / "mlflow.db"


def check_tracking(tracking: TrackingConfig) -> None:
    """Refuse an address with a password, which would be stored, and what can be no address. Asks nobody.

    Raises:
        ConfigError: If the address or the experiment's name is such; the line does not show the password.
    """
    name, uri = tracking.experiment, tracking.uri
    if not name.strip() or len(name) > _MAX_EXPERIMENT or not name.isprintable():
        what = f"must be 1 to {_MAX_EXPERIMENT} printable characters; mps_experiments is the default"
        raise ConfigError("tracking.experiment", name if len(name) <= _MAX_EXPERIMENT else "(too long)", what)
    if uri is None:
        return
    try:
        has_secret = _has_secret(uri)
    except ValueError as error:  # its text may hold a part of a password, taken for a port
        raise ConfigError(option_of(uri), uri, "is no address such as http://host:5000") from error
    if has_secret:
        raise ConfigError(option_of(uri), uri, _ELSEWHERE)
    if tracking.enabled and uri.startswith("sqlite"):
        database = database_of(uri)
        if database is None:
            raise ConfigError(option_of(uri), uri, "names no file; write sqlite:////the/path/of/mlflow.db")
        if not is_folder(database.parent):
            what = f"there is no folder {database.parent}; name a database of MLflow, or a new file"
            raise ConfigError(option_of(uri), uri, what)


def _has_secret(uri: str) -> bool:
    if not uri.isprintable():
        raise ValueError("control characters")
    parts = urlsplit(uri)
    if any(_SECRET_KEY.fullmatch(key) for key, _ in parse_qsl(parts.query)):
        return True
    if parts.scheme in ("http", "https"):
        _ = parts.port  # raises ValueError if it is no number
        return "@" in parts.netloc  # a name alone may be a token
    # As SQLAlchemy reads it: a password may hold a slash.
    return re.match(r"[^:/]+://[^/@:]*:[^@]*@", uri) is not None


def database_of(uri: str) -> Path | None:
    """Return the file of an SQLite address; None for any other address and for a database in memory.

    >>> database_of("sqlite:////data/mlflow.db")
    PosixPath('/data/mlflow.db')
    >>> database_of("sqlite:///file:/data/mlflow.db?mode=ro&uri=true")
    PosixPath('/data/mlflow.db')
    """
    match = _SQLITE.match(uri)
    return Path(match["path"]) if match and match["path"] not in ("", ":memory:") else None


def option_of(uri: str) -> str:
    """Name what an address came from, so that a mistake in it is looked for in the right place."""
    return STORE_VARIABLE if os.environ.get(STORE_VARIABLE) == uri else "tracking.uri"


def store_named_outside() -> str | None:
    """Return the address that the shell names; None if it names none."""
    return os.environ.get(STORE_VARIABLE) or None


def variables_line(tracking: TrackingConfig, environment: Mapping[str, str]) -> str:
    """Tell in one line which of MLflow's variables are used and which not; empty if none is set."""
    if not tracking.enabled:
        return ""
    used = {STORE_VARIABLE: tracking.uri, EXPERIMENT_VARIABLE: tracking.experiment}
    told = [
        f"{name}={without_passwords(given)} is {'used' if given == used[name] else 'not used'}"
        for name in used
        if (given := environment.get(name))
    ]
    return f"MLflow: {'; '.join(told)}" if told else ""
