"""Say why a tracking store cannot be used and what would work: nobody is there, or somebody says no."""

import re

from mps_experiments.errors import TrackingError, without_passwords

_MAX_TEXT = 300  # characters of what another program said
_STATUS = re.compile(r"error code (\d{3})|(\d{3}) error responses")
_LOGIN = "set or correct MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
# What an error says, and what that means; the first that is found counts.
_KNOWN = {
    "database is locked": "another program has locked the database; try again when that has ended, or name "
    "another",
    "readonly database": "the database cannot be written; make the file and its folder writable",
    "unable to open database": "the database cannot be opened; see who may read the file and its folder",
    "malformed": "the database is damaged; put a copy in its place, or name a new file",
    "not a database": "the file is no SQLite database; name a database of MLflow, or a new file",
    "disk is full": "the disk of the database is full; make room, or name another",
    "MLFLOW_ALLOW_FILE_STORE": "MLflow no longer keeps runs in a folder; name a database, "
    "sqlite:////path/of/mlflow.db, or set MLFLOW_ALLOW_FILE_STORE=true",
    "Supported URI schemes": "MLflow knows no store at such an address; give http://host:5000 or "
    "sqlite:////path/of/mlflow.db",
}


class StoreError(TrackingError):
    """A store that cannot be used: what was found, and what would work."""


def refusal(status: int, text: str = "") -> str:
    """Return what is said of a server that answers with an HTTP error.

    Args:
        status: The HTTP status.
        text: What the server says besides.
    """
    what = f"the server there says no ({status}{f': {text}' if text else ''})"
    if status in (401, 403):
        return f"{what}; {_LOGIN}, or ask for the permission"
    if status >= 500:
        return f"{what}; see its log, or try again later"
    return f"{what}; it is no MLflow, or not at this path or scheme: correct the address"


def trouble_of(error: BaseException) -> str:
    """Say what an error of MLflow, or below it, means for the person; no address in it shows a password."""
    whole, text = str(error), _shortened(str(error)) or type(error).__name__
    if isinstance(error, ImportError):
        return f"the Python driver of this database is not installed ({text}); install it with pip"
    if (known := next((known for sign, known in _KNOWN.items() if sign in whole), None)) is not None:
        return known
    if (status := _status_of(error, whole)) is not None:
        body = re.search(r"Response body: '(.*)'", whole, re.DOTALL)
        said = _shortened(body[1]) if body else text
        return refusal(status, "an HTML page" if said[:1] == "<" else said)
    return f"{type(error).__name__}: {text}"


def _shortened(text: str) -> str:
    """Return the beginning of a text in one line, without SQL and passwords."""
    return without_passwords(" ".join(text.partition("[SQL:")[0].split())[:_MAX_TEXT])


def _status_of(error: BaseException, text: str) -> int | None:
    """Return the HTTP status behind an MlflowException; None for what no server said."""
    if match := _STATUS.search(text):
        return int(match[1] or match[2])
    ask = getattr(error, "get_http_status_code", None)
    return int(ask()) if ask is not None and hasattr(error, "json") else None  # json: a server's own words
