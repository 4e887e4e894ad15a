"""Whether an MLflow server answers: real servers, MLflow's own among them."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mps_experiments.tracking.health import problem_with_address
from tests.tracking.conftest import answering

TIMEOUT_S = 20.0
NO_MLFLOW = "a server that is not MLflow answers there"


def test_mlflow_answers(uri: str) -> None:
    assert problem_with_address(uri, TIMEOUT_S) == ""
    assert problem_with_address(f"{uri}/", TIMEOUT_S) == ""


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (200, b"<html>a router</html>", NO_MLFLOW),
        (200, b"", NO_MLFLOW),
        (200, b"OK\n", ""),
        (401, b"", ""),  # who may enter is the store's to say
        (404, b"", ""),  # Databricks has no such page
        (503, b"", "the server there says no (503); see its log"),
    ],
)
def test_others_are_told_by_what_they_say(status: int, body: bytes, problem: str) -> None:
    with answering(status, body) as address:
        assert problem_with_address(address, TIMEOUT_S).startswith(problem)
        assert bool(problem_with_address(address, TIMEOUT_S)) is bool(problem)


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("runs.db", "write http://runs.db for a server, sqlite:///HERE/runs.db for a database"),
        ("localhost:5000", "it has no scheme such as http:// or sqlite:///; write http://localhost:5000 for"),
        ("sqlite:///mlflow.db", ""),
        ("databricks-uc", ""),
        ("http://127.0.0.1:9", "no MLflow store answers there ([Errno 111] Connection refused); start one"),
        ("http://no-such-host.invalid:5000", "Name or service not known); start one with `mlflow server`"),
    ],
)
def test_only_servers_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    said = problem_with_address(uri, TIMEOUT_S)
    assert problem.replace("HERE", str(tmp_path)) in said
    assert bool(said) is bool(problem)


@pytest.fixture
def with_tls(tmp_path: Path) -> Iterator[str]:
    """A server with a certificate that nobody else vouches for: its address."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not there")
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *names, *files]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with answering(200, b"OK", context) as address:
        yield address.replace("http://127.0.0.1", "https://localhost")


def test_a_certificate_is_trusted_as_mlflows_variables_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_tls: str
) -> None:
    said = problem_with_address(with_tls, TIMEOUT_S)
    assert said.startswith("the TLS connection fails (self-signed certificate); ")
    assert "MLFLOW_TRACKING_SERVER_CERT_PATH" in said
    with monkeypatch.context() as context:
        context.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(tmp_path / "cert.pem"))
        assert problem_with_address(with_tls, TIMEOUT_S) == ""
    monkeypatch.setenv("MLFLOW_TRACKING_INSECURE_TLS", "true")
    assert problem_with_address(with_tls, TIMEOUT_S) == ""


def test_https_where_nobody_speaks_tls() -> None:
    with answering(200, b"OK") as address:
        assert "or try http://" in problem_with_address(address.replace("http:", "https:"), TIMEOUT_S)
