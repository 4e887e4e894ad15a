"""Why a tracking store cannot be used and what would work: nobody is there, or somebody says no."""

import os
import re
from dataclasses import dataclass

from mps_experiments.errors import TrackingError, without_passwords

_LOGIN = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
_STATUS = re.compile(
    r"failed with error code (\d{3})|failed with exception.*?(\d{3}) error responses", re.DOTALL
)
_MAX_TEXT = 300  # characters of what another program said
# What SQLite says, and what that means; the first that is found counts.
_SQLITE = {
    "database is locked": (
        "another program has locked the database",
        "try again when that has ended, or name another",
    ),
    "readonly database": ("the database can only be read", "make the file and its folder writable"),
    "unable to open database": ("the database cannot be opened", "see who may read the file and its folder"),
    "malformed": ("the database is damaged", "put a copy in its place, or name a new file"),
    "not a database": ("the file is no SQLite database", "name a database of MLflow, or a new file"),
    "disk is full": ("the disk of the database is full", "make room, or name another"),
}


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What is wrong with a store.

    Attributes:
        what: What was found.
        todo: What would work.
    """

    what: str
    todo: str

    def __str__(self) -> str:
        return f"{self.what}; {self.todo}"


class StoreError(TrackingError):
    """A store that cannot be used, with the whole sentence."""

    def __init__(self, trouble: Trouble) -> None:
        self.trouble = trouble
        super().__init__(str(trouble))


def nobody(why: str) -> Trouble:
    """Return what is said where no server answers."""
    return Trouble(what=f"no MLflow store answers there ({why})", todo="start one with `mlflow server`")


def refusal(status: int, text: str = "") -> Trouble:
    """Return what is said of a server that answers with an HTTP error.

    Args:
        status: The HTTP status.
        text: What the server says besides.
    """
    what = f"the server there says no ({status}{f': {text}' if text else ''})"
    if status in (401, 403):
        return Trouble(what=what, todo=_login(status))
    if status in (404, 405, 400):
        return Trouble(what=what, todo="it is no MLflow, or not at this path or scheme: correct the address")
    if status >= 500:
        return Trouble(what=what, todo="see its log, or try again later")
    return Trouble(what=what, todo="correct the address, or ask who runs it")


def trouble_of(error: BaseException) -> Trouble:
    """Say what an error of MLflow, or below it, means for the person; no address in it shows a password."""
    if isinstance(error, StoreError):
        return error.trouble
    text = shortened(error)
    if isinstance(error, ImportError):
        what = f"the Python driver of this database is not installed ({text})"
        return Trouble(what=what, todo="install it with pip")
    for sign, (what, todo) in _SQLITE.items():
        if sign in text:
            return Trouble(what=f"{what} ({sign})", todo=todo)
    if "MLFLOW_ALLOW_FILE_STORE" in str(error):
        return Trouble(
            what="MLflow itself no longer keeps runs in a folder",
            todo="name a database, sqlite:////path/of/mlflow.db (`mlflow migrate-filestore` takes the runs "
            "over), or set MLFLOW_ALLOW_FILE_STORE=true",
        )
    if "Supported URI schemes" in str(error):
        return Trouble(
            what="MLflow knows no store at such an address",
            todo="give http://host:5000 or sqlite:////path/of/mlflow.db",
        )
    if (status := _status_of(error)) is not None:
        return refusal(status, _said(error))
    return Trouble(what=f"MLflow cannot use it ({text})", todo="correct the address, or name another")


def shortened(error: BaseException) -> str:
    """The beginning of an error's text, in one line, without SQL and passwords."""
    text = " ".join(str(error).partition("[SQL:")[0].split())[:_MAX_TEXT]
    return without_passwords(text or type(error).__name__)


def _login(status: int) -> str:
    given = [name for name in _LOGIN if os.environ.get(name)]
    if status == 403 and given:
        return f"the account in {' and '.join(given)} may not do this: ask for the permission"
    if given:
        return f"correct {' and '.join(given)}"
    return "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"


def _status_of(error: BaseException) -> int | None:
    """The HTTP status behind an MlflowException; None for what no server said."""
    if match := _STATUS.search(str(error)):
        return int(match[1] or match[2])
    if not hasattr(error, "json"):  # only what a server said in JSON has it
        return None
    ask = getattr(error, "get_http_status_code", None)
    return int(ask()) if ask is not None else None


def _said(error: BaseException) -> str:
    """What the server said, without MLflow's words around it; nothing of an HTML page."""
    body = re.search(r"Response body: '(.*)'", str(error), re.DOTALL)
    text = body[1] if body else str(error)
    return (
        "an HTML page" if text.lstrip()[:1] == "<" else without_passwords(" ".join(text.split())[:_MAX_TEXT])
    )
