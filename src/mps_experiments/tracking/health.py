"""Ask once whether an MLflow server answers at an address: MLflow itself would retry for minutes."""

import os
import ssl
import urllib.error
import urllib.request
from http.client import HTTPException

from mps_experiments.tracking.trouble import refusal

HTTP = ("http", "https")
_MLFLOW = b"OK"  # what its /health says


def problem_with_address(uri: str, timeout_s: float) -> str:
    """Say why nothing can be had at a tracking address; empty if nothing speaks against it.

    A server is asked once. What is no server is only looked at.
    """
    if "://" not in uri and not uri.startswith("databricks"):
        what = "it has no scheme such as http:// or sqlite:///"  # MLflow would take it for a folder
        return f"{what}; write http://{uri} for a server, sqlite:///{os.path.abspath(uri)} for a database"  # noqa: PTH100 - a text, which may be no path
    if uri.partition("://")[0] not in HTTP:
        return ""
    try:
        url = f"{uri.rstrip('/')}/health"
        with urllib.request.urlopen(url, timeout=timeout_s, context=_tls()) as answer:  # noqa: S310 - http(s) only
            if answer.read(len(_MLFLOW) + 1).strip() != _MLFLOW:
                return "a server that is not MLflow answers there; correct the address"
    except urllib.error.HTTPError as error:
        error.close()  # below 500: Databricks has no such page, and a proxy may want a password first
        return refusal(error.code) if error.code >= 500 else ""
    except (OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, ssl.SSLError):
            what = f"the TLS connection fails ({getattr(reason, 'verify_message', None) or reason.reason})"
            return f"{what}; name the server's authority in MLFLOW_TRACKING_SERVER_CERT_PATH, or try http://"
        why = str(reason) or type(reason).__name__
        return f"no MLflow store answers there ({why}); start one with `mlflow server`"
    return ""


def _tls() -> ssl.SSLContext:
    """Trust whom MLflow's own variables name, as MLflow does."""
    trusted = os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or os.environ.get("REQUESTS_CA_BUNDLE")
    context = ssl.create_default_context(cafile=trusted or None)
    if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
