"""Whether an MLflow server answers at an address. MLflow itself would retry a dead one for minutes."""

import os
import ssl
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException

from mps_experiments.tracking.trouble import Trouble, nobody, refusal

HTTP = ("http", "https")
_MLFLOW = b"OK"  # what its /health says
_NOT_MLFLOW = Trouble(what="a server that is not MLflow answers there", todo="correct the address")


def problem_with_address(uri: str, timeout_s: float) -> Trouble | None:
    """Why nothing can be had at a tracking address; None if nothing speaks against it.

    A server is asked once. What is no server is only looked at.
    """
    if "://" not in uri and not uri.startswith("databricks"):  # MLflow would take it for a folder
        return _without_scheme(uri)
    if urllib.parse.urlsplit(uri).scheme not in HTTP:
        return None
    try:
        url = f"{uri.rstrip('/')}/health"
        with urllib.request.urlopen(url, timeout=timeout_s, context=_tls()) as answer:  # noqa: S310 - http(s) only
            is_mlflow = answer.read(len(_MLFLOW) + 1).strip() == _MLFLOW
    except urllib.error.HTTPError as error:
        error.close()  # below 500: Databricks has no such page, and a proxy may want a password first
        return refusal(error.code) if error.code >= 500 else None
    except (OSError, ValueError, HTTPException) as error:
        return _unreachable(getattr(error, "reason", None) or error)
    return None if is_mlflow else _NOT_MLFLOW


def _unreachable(reason: object) -> Trouble:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return Trouble(
            what=f"the server's certificate is not trusted ({reason.verify_message})",
            todo="name its authority in MLFLOW_TRACKING_SERVER_CERT_PATH, "
            "or set MLFLOW_TRACKING_INSECURE_TLS=true",
        )
    if isinstance(reason, ssl.SSLError):
        return Trouble(what=f"what answers there speaks no TLS ({reason.reason})", todo="try http://")
    return nobody(str(reason) or type(reason).__name__)


def _without_scheme(uri: str) -> Trouble:
    what = "it has no scheme such as http:// or sqlite:///"
    path = os.path.abspath(uri)  # noqa: PTH100 - a text, which may be no path at all
    if uri.endswith((".db", ".sqlite", ".sqlite3")):
        return Trouble(what=what, todo=f"write sqlite:///{path}")
    if "/" in uri or os.path.isdir(path):  # noqa: PTH112
        return Trouble(what=what, todo=f"write sqlite:///{path}/mlflow.db, a database in that folder")
    return Trouble(what=what, todo=f"write http://{uri}" if ":" in uri else "write it whole")


def _tls() -> ssl.SSLContext:
    """Trust whom MLflow's own variables name, as MLflow does."""
    trusted = os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or os.environ.get("REQUESTS_CA_BUNDLE")
    try:
        context = ssl.create_default_context(cafile=trusted or None)
    except OSError as error:
        raise ValueError(f"the certificates in {trusted} cannot be read: {error}") from error
    if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
