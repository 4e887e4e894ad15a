"""MLflow addresses that answer wrongly, slowly, not at all or with a secret in them; names that cannot be."""

import contextlib
import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mps_experiments import sync
from mps_experiments.record import write_measurement
from tests.hostile.conftest import Bad, Refused, rows
from tests.records import make_measurement

QUICK = ["workload=custom", "workload.factory=json:loads", "device=cpu", "tracking.connect_timeout_s=4"]
STORED = "a password in the address would be stored with every run; write it without and set"
HTTP = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"


def address(name: str, uri: str, *says: str, files: dict[str, str] | None = None) -> Bad:
    arguments = [*QUICK, f"tracking.uri='{uri}'"]
    return Bad(name=name, arguments=arguments, says=("tracking.uri=", *says), files=files or {})


def experiment(name: str, value: str) -> Bad:
    says = ("tracking.experiment", "must be 1 to 500 printable characters; mps_experiments is the default")
    return Bad(name=name, arguments=[*QUICK, f"tracking.experiment='{value}'"], says=says)


UNASKED = [
    address("a password", "http://me:hunter2@127.0.0.1:9", "http://***@127.0.0.1:9: ", STORED, HTTP),
    address("a token", "https://hunter2@127.0.0.1:9", "https://***@127.0.0.1:9: ", STORED, HTTP),
    address("a password of a database", "postgresql://me:hunter2@127.0.0.1:9/x", "PGPASSWORD", "~/.pgpass"),
    address("a password with a slash", "mysql://me:hunter2/x@127.0.0.1:9/x", "~/.my.cnf"),
    address("a password elsewhere", "ftp://me:hunter2@127.0.0.1:9", "MLFLOW_TRACKING_PASSWORD"),
    address("a password as an argument", "http://127.0.0.1:9/?password=hunter2", "?password=***", HTTP),
    address("half an address", "http://[::1", "is no address such as http://host:5000"),
    address("a database in memory", "sqlite://", "names no file; write sqlite:////the/path/of/mlflow.db"),
    address("no folder", "sqlite:////nowhere/x/mlflow.db", "there is no folder /nowhere/x", "or a new file"),
    address("a folder as database", "sqlite:///{here}", "is not a file; name a database of MLflow"),
    address("a device as database", "sqlite:////dev/zero", "is not a file; name a database of MLflow"),
    address(
        "a text as database",
        "sqlite:///{here}/x.db",
        "is not an SQLite database",
        files={"x.db": "text\n" * 100},
    ),
    experiment("no name", ""),
    experiment("a blank name", "  "),
    experiment("a name of two lines", "a\nb"),
    experiment("a name too long", "x" * 501),
]

ASKED = [
    address("no scheme", "127.0.0.1:5000", "it has no scheme such as http:// or sqlite:///"),
    address("nobody there", "http://127.0.0.1:9", "Connection refused", "start one with `mlflow server`"),
    address("no host", "http://", "no host given", "or use tracking=sqlite or tracking=none"),
    address("no store", "ftp://127.0.0.1:9/x", "MLflow knows no store at such an address", "tracking=none"),
    address("a folder", "file://{here}", "MLflow itself no longer keeps runs in a folder", "tracking=none"),
]


@rows([*UNASKED, *ASKED])
def test_an_address_that_cannot_be_is_refused_in_one_line(bad: Bad, refused: Refused) -> None:
    assert "hunter2" not in refused(bad)


@rows([UNASKED[0], UNASKED[9], ASKED[1]])
def test_the_command_refuses_it_too(bad: Bad, refused_by_command: Refused) -> None:
    assert "hunter2" not in refused_by_command(bad)


class Answering(http.server.BaseHTTPRequestHandler):
    """A server that gives one answer to everything."""

    code = 200

    def do_GET(self) -> None:
        body = b"<html>Welcome</html>"
        self.send_response(self.code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@contextlib.contextmanager
def answering(answer: int) -> Iterator[str]:
    """The address of a server that is none of MLflow's."""
    handler = type("Handler", (Answering,), {"code": answer})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (500, "the server there says no (500); see its log"),
        (404, "the server there says no (404: an HTML page); it is no MLflow, or not at this path"),
        (200, "a server that is not MLflow answers there"),
    ],
)
def test_a_server_that_is_no_mlflow_is_refused(answer: int, why: str, refused_by_command: Refused) -> None:
    with answering(answer) as uri:
        line = refused_by_command(address(str(answer), uri, uri, why, "use tracking=sqlite or tracking=none"))
    assert "no MLflow store answers there" not in line


def test_a_server_that_never_answers_is_given_up(refused_by_command: Refused) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
        refused_by_command(address("silent", uri, uri, "did not answer within 4 s"))


def test_sync_refuses_a_password_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measurement = make_measurement("record", procs=1, output_dir=tmp_path / "outputs")
    write_measurement(measurement, tmp_path / "outputs" / "run" / "measurement.json")

    assert sync.main([str(tmp_path / "outputs"), "--tracking-uri", "http://me:hunter2@127.0.0.1:9"]) == 2

    line = capsys.readouterr().err
    assert line.startswith("mps_experiments: tracking.uri=http://***@127.0.0.1:9: ")
    assert line.count("\n") == 1
    assert HTTP in line
