"""A store is seen before it is opened, and no call into MLflow holds the program up."""

import shutil
import sqlite3
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from mps_experiments.errors import TrackingError
from mps_experiments.tracking.addresses import database_of
from mps_experiments.tracking.store import StoreError, check_address, check_database, within
from tests.conftest import run_python
from tests.fakes.stores import new_store
from tests.tracking.conftest import answering

TIMEOUT_S = 20.0
HANGS = """
import sys, threading
from mps_experiments.errors import TrackingError
from mps_experiments.tracking.store import within
try:
    within(0.1, "log", threading.Event().wait)
except TrackingError as error:
    sys.stdout.write(str(error))
"""


@pytest.mark.parametrize("value", [3, None])
def test_the_result_is_passed_on(value: object) -> None:
    assert within(10, "log", lambda: value) is value


@pytest.mark.parametrize("error", [ValueError("two\n  lines"), SystemExit("two lines")])
def test_any_error_becomes_a_tracking_error_of_one_line(error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(TrackingError) as caught:
        within(10, "log", fail)
    assert str(caught.value) == f"MLflow could not log: {type(error).__name__}: two lines"
    assert caught.value.__cause__ is error


def test_a_database_whose_file_is_gone_is_told_as_that_and_not_as_read_only(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "mlflow.db", check_same_thread=False)) as connection:
        connection.execute("CREATE TABLE runs (id)")
        connection.commit()
        (tmp_path / "mlflow.db").unlink()

        def call() -> None:
            try:
                connection.execute("INSERT INTO runs VALUES (1)")
            except sqlite3.Error as error:
                raise MlflowException(f"(raised as a result of Query-invoked autoflush) {error}") from error

        with pytest.raises(TrackingError) as caught:
            within(5, "log it", call)
    why = "the file of the database was deleted or moved away; put it back, or a new one is made"
    assert str(caught.value) == f"MLflow could not log it: {why}"


def test_a_call_that_hangs_is_late_and_does_not_keep_the_program_from_ending() -> None:
    done = run_python("-c", HANGS)
    assert done.stdout == "MLflow did not log within 0.1 s"


@pytest.mark.parametrize(
    ("message", "fails", "calls"),
    [("database is locked", 2, 3), ("attempt to write a readonly database", 1, 1)],
)
def test_only_a_locked_database_is_asked_again(message: str, fails: int, calls: int) -> None:
    asked = threading.Semaphore(0)
    left = iter(range(fails))

    def call() -> None:
        asked.release()
        if next(left, None) is not None:
            raise MlflowException(message)

    if calls > fails:
        within(60, "log", call)
    else:
        with pytest.raises(
            TrackingError, match="could not log: MlflowException: attempt to write a readonly"
        ):
            within(60, "log", call)
    assert [asked.acquire(blocking=False) for _ in range(calls + 1)] == [True] * calls + [False]


def problem_at(uri: str) -> str:
    """What is said of an address; empty if nothing."""
    try:
        check_address(uri, TIMEOUT_S)
    except StoreError as error:
        return str(error)
    return ""


def test_mlflow_answers(uri: str) -> None:
    assert problem_at(uri) == problem_at(f"{uri}/") == ""


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (200, b"<html>a router</html>", "a server that is not MLflow answers there"),
        (200, b"", "a server that is not MLflow answers there"),
        (200, b"OK\n", ""),
        (401, b"", ""),  # who may enter is the store's to say
        (404, b"", ""),  # Databricks has no such page
        (503, b"", "the server there refuses (503); see its log"),
    ],
)
def test_others_are_told_by_what_they_say(status: int, body: bytes, problem: str) -> None:
    with answering(status, body) as address:
        assert problem_at(address).startswith(problem)
        assert bool(problem_at(address)) is bool(problem)


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
    said = problem_at(uri)
    assert problem.replace("HERE", str(tmp_path)) in said
    assert bool(said) is bool(problem)


@pytest.fixture
def with_tls(tmp_path: Path) -> Iterator[str]:
    """A server with a certificate that nobody else vouches for: its address."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not there")
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    subprocess.run([*command, "-days", "1", *names, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with answering(200, b"OK", context) as address:
        yield address.replace("http://127.0.0.1", "https://localhost")


def test_a_certificate_is_trusted_as_mlflows_variables_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_tls: str
) -> None:
    assert "CERTIFICATE_VERIFY_FAILED" in problem_at(with_tls)
    with monkeypatch.context() as context:
        context.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(tmp_path / "cert.pem"))
        assert problem_at(with_tls) == ""
    monkeypatch.setenv("MLFLOW_TRACKING_INSECURE_TLS", "true")
    assert problem_at(with_tls) == ""


def changed(path: Path, *statements: str) -> str:
    """Execute statements in a database; its address."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return f"sqlite:///{path}"


def refused(uri: str, may_be_new: bool = True) -> str:
    """What is said of a database, which stays as it is."""
    path = database_of(uri)
    assert path is not None
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(StoreError) as caught:
        check_database(uri, may_be_new, 1.0)
    assert (path.read_bytes() if path.is_file() else None) == before
    return str(caught.value)


@pytest.mark.parametrize("content", [None, b""])
def test_a_database_that_is_not_there_or_empty_may_become_a_store_but_is_none(
    tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "mlflow.db").write_bytes(content)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    check_database(uri, True, 1.0)
    assert refused(uri, may_be_new=False).startswith("there is no MLflow store; ")


def test_what_is_no_database_of_mlflow_is_none(tmp_path: Path) -> None:
    check_database("postgresql://host/db", False, 1.0)
    for name, statement in (
        ("a", "CREATE TABLE cats (name TEXT)"),
        ("b", "CREATE TABLE experiments (a TEXT)"),
    ):
        assert "of another program" in refused(changed(tmp_path / f"{name}.db", statement))
    assert refused("sqlite:////dev/zero").startswith("it is not a file")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8" * 999)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        check_database(f"sqlite:///{tmp_path / 'photo.jpg'}", True, 1.0)


def test_a_schema_that_this_mlflow_does_not_know_is_newer_and_an_older_one_is_not_migrated(
    tmp_path: Path,
) -> None:
    uri = new_store(tmp_path / "my mlflow.db")
    check_database(uri, False, 1.0)
    changed(tmp_path / "my mlflow.db", "UPDATE alembic_version SET version_num = 'ffffffffffff'")
    assert "a newer MLflow wrote this database (revision ffffffffffff)" in refused(uri)
    first = "UPDATE alembic_version SET version_num = '451aebb31d03'"  # of 2019
    changed(tmp_path / "my mlflow.db", first, "DROP TABLE datasets")
    assert "an older MLflow wrote this database (revision 451aebb31d03)" in refused(uri)
    assert refused(uri).endswith(f"run: mlflow db upgrade '{uri}'")


KILLED_WRITER = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA cache_size=1")  # so that the file is written before the transaction ends
connection.execute("BEGIN IMMEDIATE")
connection.execute("CREATE TABLE large (text)")
for _ in range(2000):
    connection.execute("INSERT INTO large VALUES (?)", ("x" * 2000,))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_writer_left_is_undone(tmp_path: Path) -> None:
    uri = new_store(tmp_path / "mlflow.db")
    subprocess.run([sys.executable, "-c", KILLED_WRITER, str(tmp_path / "mlflow.db")], check=False)
    assert (tmp_path / "mlflow.db-journal").stat().st_size > 0
    check_database(uri, may_be_new=False, patience_s=TIMEOUT_S)
