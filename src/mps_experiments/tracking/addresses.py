"""Addresses and names for MLflow that are refused before MLflow is asked: they leak, or cannot work."""

import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from mps_experiments.config.schema import TrackingConfig
from mps_experiments.errors import ConfigError
from mps_experiments.tracking.variables import option_of

_MAX_EXPERIMENT = 500  # characters, MLflow's own limit
_SQLITE_HEADER = b"SQLite format 3\0"
_SQLITE = re.compile(r"sqlite(\+\w+)?:(//)?")
_SECRET_KEY = re.compile(r"(.*password|passwd|pwd|pass|.*token|.*secret|api_?key)", re.IGNORECASE)
_ELSEWHERE = {
    "http": "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (or MLFLOW_TRACKING_TOKEN)",
    "postgresql": "set PGPASSWORD or write ~/.pgpass",
    "mysql": "write it into the [client] part of ~/.my.cnf and add ?read_default_file=",
}
_ELSEWHERE["https"] = _ELSEWHERE["http"]


def check_tracking(tracking: TrackingConfig) -> None:
    """Refuse an address with a password, which would be stored, and what MLflow cannot open. Asks nobody.

    Raises:
        ConfigError: If the address or the experiment's name is such; the line does not show the password.
    """
    _check_experiment(tracking.experiment)
    if tracking.uri is None:
        return
    if not tracking.uri.isprintable():
        raise ConfigError(option_of(tracking.uri), tracking.uri, "is no address: it has control characters")
    try:
        secret = _has_secret(tracking.uri)
    except ValueError as error:  # its text may hold a part of a password, taken for a port
        raise ConfigError(
            option_of(tracking.uri), tracking.uri, "is no address such as http://host:5000"
        ) from error
    if secret:
        scheme = tracking.uri.partition(":")[0].partition("+")[0].lower()
        means = _ELSEWHERE.get(scheme, "leave it to the environment, such as MLFLOW_TRACKING_PASSWORD")
        what = f"a password in the address would be stored with every run; write it without and {means}"
        raise ConfigError(option_of(tracking.uri), tracking.uri, what)
    if tracking.enabled and (match := _SQLITE.match(tracking.uri)):
        _check_sqlite(tracking.uri, tracking.uri[match.end() :])


def _check_experiment(name: str) -> None:
    if not name.strip() or len(name) > _MAX_EXPERIMENT or not name.isprintable():
        what = f"must be 1 to {_MAX_EXPERIMENT} printable characters; mps_experiments is the default"
        raise ConfigError("tracking.experiment", name if len(name) < _MAX_EXPERIMENT else "(too long)", what)


def _has_secret(uri: str) -> bool:
    parts = urlsplit(uri)
    if any(_SECRET_KEY.fullmatch(key) for key, _ in parse_qsl(parts.query)):
        return True
    if parts.scheme in ("http", "https"):
        return "@" in parts.netloc or not isinstance(parts.port, int | None)  # a name alone may be a token
    # As SQLAlchemy reads it: a password may hold a slash.
    return re.match(r"[^:/]+://[^/@:]*:[^@]*@", uri) is not None


def _check_sqlite(uri: str, rest: str) -> None:
    path = Path(rest.partition("?")[0].removeprefix("/"))
    if not rest.startswith("/") or path == Path() or str(path) == ":memory:":
        raise ConfigError(option_of(uri), uri, "names no file; write sqlite:////the/path/of/mlflow.db")
    if problem := _problem_with(path):
        raise ConfigError(option_of(uri), uri, f"{problem}; name a database of MLflow, or a new file")


def _problem_with(path: Path) -> str:
    """Say why this is neither an SQLite database nor the place for a new one; empty if it is."""
    try:
        if not path.parent.is_dir():
            return f"there is no folder {path.parent}"
        if not path.exists():
            return ""
        if not path.is_file():
            return "is not a file"
        with path.open("rb") as file:
            header = file.read(len(_SQLITE_HEADER))
    except (OSError, ValueError) as error:
        return f"cannot be read ({error})"
    return "" if header in (b"", _SQLITE_HEADER) else "is not an SQLite database"
