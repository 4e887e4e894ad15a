"""MLflow addresses that answer wrongly, or not at all; tests/tracking has more."""

import socket

from tests.hostile.conftest import Bad, Refused, rows

QUICK = [
    "workload=custom",
    "workload.factory=tests.fakes.moody:build",
    "device=cpu",
    "tracking.connect_timeout_s=4",
]
STORED = "a password in the address would be stored with every run; write it without and set"
HTTP = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"


def address(name: str, uri: str, *says: str, files: dict[str, str] | None = None) -> Bad:
    arguments = [*QUICK, f"tracking.uri='{uri}'"]
    return Bad(name=name, arguments=arguments, says=("tracking.uri=", *says), files=files or {})


ADDRESSES = [
    address("a password", "http://me:hunter2@127.0.0.1:9", "http://***@127.0.0.1:9: ", STORED, HTTP),
    address("no folder", "sqlite:////nowhere/x/mlflow.db", "there is no folder /nowhere/x", "or a new file"),
    address(
        "a text as database",
        "sqlite:///{here}/x.db",
        "is not an SQLite database",
        files={"x.db": "text\n" * 100},
    ),
    address("nobody there", "http://127.0.0.1:9", "Connection refused", "start one with `mlflow server`"),
    address("no host", "http://", "no host given", "or use tracking=sqlite or tracking=none"),
    address("no store", "ftp://127.0.0.1:9/x", "MLflow knows no store at such an address", "tracking=none"),
]


@rows(ADDRESSES)
def test_an_address_that_cannot_be_is_refused_in_one_line(bad: Bad, refused: Refused) -> None:
    assert "hunter2" not in refused(bad)


@rows(ADDRESSES[:1])
def test_the_command_refuses_it_too(bad: Bad, refused_by_command: Refused) -> None:
    assert "hunter2" not in refused_by_command(bad)


def test_a_server_that_never_answers_is_given_up(refused: Refused) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
        refused(address("silent", uri, uri, "did not answer within 4 s"))
