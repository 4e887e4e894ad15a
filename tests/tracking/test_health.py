"""Whether an MLflow server answers: real servers, MLflow's own among them."""

import threading
from pathlib import Path
from socket import socket

import pytest

from mps_experiments.tracking.health import problem_with_address
from tests.tracking.conftest import answering, free_port, mlflow_server

TIMEOUT_S = 20.0


def test_mlflow_answers(tmp_path: Path) -> None:
    with mlflow_server(tmp_path, free_port()) as (address, _):
        assert problem_with_address(address, TIMEOUT_S) is None
        assert problem_with_address(f"{address}/", TIMEOUT_S) is None


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (200, b"<html>a router</html>", "a server that is not MLflow answers there"),
        (200, b"", "a server that is not MLflow answers there"),
        (200, b"OK\n", None),
        (401, b"", None),  # who may enter is the store's to say
        (404, b"", None),  # Databricks has no such page
        (503, b"", "it answers 503"),
    ],
)
def test_others_are_told_by_what_they_say(status: int, body: bytes, problem: str | None) -> None:
    with answering(status, body) as address:
        assert problem_with_address(address, TIMEOUT_S) == problem


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
        problem = problem_with_address(f"http://127.0.0.1:{listening.getsockname()[1]}", TIMEOUT_S)
        thread.join()
    assert problem
    assert "220 mail" in problem


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("outputs", "it has no scheme such as http:// or sqlite:///"),
        ("sqlite:///mlflow.db", None),
        ("databricks", None),
        ("http://127.0.0.1:9", "[Errno 111] Connection refused"),
    ],
)
def test_only_servers_are_asked(uri: str, problem: str | None) -> None:
    assert problem_with_address(uri, TIMEOUT_S) == problem
