"""MLflow stores as users have them: a file, and a server process."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.fakes.stores import new_store

_DEADLINE_S = 90.0
NONE: Mapping[str, tuple[int, bytes]] = {}


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def mlflow_server(
    folder: Path, port: int, store: Path | None = None
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A real server over a SQLite store: its address, and its process to stop it early.

    Args:
        folder: Where it works and logs.
        port: Of 127.0.0.1.
        store: The database; None for a new one in `folder`.
    """
    address = f"sqlite:///{store}" if store else new_store(folder / "server.db")
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", address, "--workers", "1"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    with (folder / f"server-{time.monotonic_ns()}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ
            | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},  # its helpers take seconds to start
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait_until_it_answers(f"http://127.0.0.1:{port}/health", process)
        yield f"http://127.0.0.1:{port}", process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and the processes it started; again is allowed."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until_it_answers(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail("the MLflow server did not start")


@contextmanager
def answering(
    status: int,
    body: bytes,
    tls: ssl.SSLContext | None = None,
    answers: Mapping[str, tuple[int, bytes]] = NONE,
) -> Iterator[str]:
    """A server that says this to whoever asks: its address.

    Args:
        status: What it answers.
        body: And says.
        tls: For https.
        answers: Beginning of a path -> what it says there instead.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = [answer for path, answer in answers.items() if self.path.startswith(path)]
            code, text = found[0] if found else (status, body)
            self.send_response(code)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        if tls is not None:
            listening.socket = tls.wrap_socket(listening.socket, server_side=True)
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}"
        finally:
            listening.shutdown()
            thread.join()


@pytest.fixture(scope="session", params=["sqlite", "server"])
def uri(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a store; each test uses an experiment of its own in it."""
    folder = tmp_path_factory.mktemp("a store")
    if request.param == "sqlite":
        yield new_store(folder / "mlflow.db")
        return
    with mlflow_server(folder, free_port()) as (address, _):
        yield address
