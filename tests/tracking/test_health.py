"""Whether an MLflow server answers: real servers, MLflow's own among them."""

import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from socket import socket

import pytest

from mps_experiments.tracking.health import problem_with_address
from tests.tracking.conftest import answering, free_port, mlflow_server

TIMEOUT_S = 20.0
NOT_MLFLOW = "a server that is not MLflow answers there; correct the address"
NO_SCHEME = "it has no scheme such as http:// or sqlite:///"
NOBODY, START = "no MLflow store answers there", "start one with `mlflow server`"


def told(uri: str) -> str | None:
    problem = problem_with_address(uri, TIMEOUT_S)
    return None if problem is None else str(problem)


def test_mlflow_answers(tmp_path: Path) -> None:
    with mlflow_server(tmp_path, free_port()) as (address, _):
        assert problem_with_address(address, TIMEOUT_S) is None
        assert problem_with_address(f"{address}/", TIMEOUT_S) is None


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (200, b"<html>a router</html>", NOT_MLFLOW),
        (200, b"", NOT_MLFLOW),
        (200, b"OK\n", None),
        (401, b"", None),  # who may enter is the store's to say
        (404, b"", None),  # Databricks has no such page
        (503, b"", "the server there says no (503); see its log, or try again later"),
    ],
)
def test_others_are_told_by_what_they_say(status: int, body: bytes, problem: str | None) -> None:
    with answering(status, body) as address:
        assert told(address) == problem


def test_what_speaks_no_http_is_no_server() -> None:
    with socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def greet() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(b"220 mail\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        problem = told(f"http://127.0.0.1:{listening.getsockname()[1]}")
        thread.join()
    assert problem
    assert "220 mail" in problem


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("mlruns/x", f"{NO_SCHEME}; write sqlite:///HERE/mlruns/x/mlflow.db, a database in that folder"),
        ("runs.db", f"{NO_SCHEME}; write sqlite:///HERE/runs.db"),
        ("localhost:5000", f"{NO_SCHEME}; write http://localhost:5000"),
        ("sqlite:///mlflow.db", None),
        ("databricks", None),
        ("databricks-uc", None),
        ("http://127.0.0.1:9", f"{NOBODY} ([Errno 111] Connection refused); {START}"),
        ("http://no-such-host.invalid:5000", f"{NOBODY} ([Errno -2] Name or service not known); {START}"),
    ],
)
def test_only_servers_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, problem: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    assert told(uri) == (problem and problem.replace("HERE", str(tmp_path)))


@pytest.fixture
def with_tls(tmp_path: Path) -> Iterator[str]:
    """A server with a certificate that nobody else vouches for: its address."""
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *names, *files],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with answering(200, b"OK", context) as address:
        yield address.replace("http://127.0.0.1", "https://localhost")


@pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl, which makes the certificate, is not there"
)
def test_a_certificate_is_trusted_as_mlflows_variables_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_tls: str
) -> None:
    assert told(with_tls) == (
        "the server's certificate is not trusted (self-signed certificate); name its authority in "
        "MLFLOW_TRACKING_SERVER_CERT_PATH, or set MLFLOW_TRACKING_INSECURE_TLS=true"
    )
    with monkeypatch.context() as context:
        context.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(tmp_path / "cert.pem"))
        assert told(with_tls) is None
    monkeypatch.setenv("MLFLOW_TRACKING_INSECURE_TLS", "true")
    assert told(with_tls) is None


def test_https_where_nobody_speaks_tls() -> None:
    with answering(200, b"OK") as address:
        said = str(told(address.replace("http:", "https:")))
    assert said.startswith("what answers there speaks no TLS (")
    assert said.endswith("); try http://")
