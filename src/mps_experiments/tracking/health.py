"""Whether an MLflow server answers at an address. MLflow itself would retry a dead one for minutes."""

import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException

HTTP = ("http", "https")
_MLFLOW = b"OK"  # what its /health says


def problem_with_address(uri: str, timeout_s: float) -> str | None:
    """Why nothing can be had at a tracking address; None if nothing speaks against it.

    A server is asked once. What is no server is only looked at.
    """
    if "://" not in uri and uri != "databricks":  # MLflow would take it for a folder
        return "it has no scheme such as http:// or sqlite:///"
    if urllib.parse.urlsplit(uri).scheme not in HTTP:
        return None
    try:
        url = f"{uri.rstrip('/')}/health"
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:  # noqa: S310 - http(s) only
            is_mlflow = answer.read(len(_MLFLOW) + 1).strip() == _MLFLOW
    except urllib.error.HTTPError as error:
        error.close()  # below 500: Databricks has no such page, and a proxy may want a password first
        return f"it answers {error.code}" if error.code >= 500 else None
    except (OSError, ValueError, HTTPException) as error:
        return str(getattr(error, "reason", None) or error) or type(error).__name__
    return None if is_mlflow else "a server that is not MLflow answers there"
