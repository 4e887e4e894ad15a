"""What is read from the logs of MPS, in the words of driver 580 where they are known."""

import pytest

from mps_experiments.mps.logs import (
    client_limit,
    control_version,
    cuda_version,
    line_about_exit,
    started_servers,
    why_refused,
)

CONTROL = """\
[2026-11-28 10:00:00.770 Control   261] Starting control daemon using socket /tmp/p/control
[2026-11-28 10:00:00.770 Control   261] CUDA MPS Control binary version: 13000
[2026-11-28 10:00:01.381 Control   337] Starting new server 337 for user 0
[2026-11-28 10:00:02.381 Control   338] Starting new server 338 for user 0
[2026-11-28 10:00:05.000 Control   261] Server 337 exited with status 9
"""
BUSY = "failed (context): AcceleratorError: CUDA error: CUDA-capable device(s) is/are busy or unavailable"
REFUSED = "[2026-11-28 10:00:05.000 Server   337] Client limit reached, client {PID: 9} refused"


@pytest.mark.parametrize(
    ("version", "limit"), [((12, 4), 48), ((13, 0), 48), ((13, 1), 60), ((14, 0), 60), (None, 60)]
)
def test_the_number_of_clients_goes_by_the_version(version: tuple[int, int] | None, limit: int) -> None:
    assert client_limit(version) == limit


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (CONTROL, (13, 0)),
        ("CUDA MPS Control binary version: 13010", (13, 1)),
        ("CUDA MPS Control binary version: 12080", (12, 8)),
        ("CUDA MPS Control binary version: new", None),
        ("", None),
    ],
)
def test_the_daemon_logs_its_version(text: str, version: tuple[int, int] | None) -> None:
    assert control_version(text) == version


@pytest.mark.parametrize(
    ("text", "version"), [("13.0", (13, 0)), ("12.10", (12, 10)), (None, None), ("unknown", None)]
)
def test_the_driver_tells_its_cuda(text: str | None, version: tuple[int, int] | None) -> None:
    assert cuda_version(text) == version


def test_servers_and_their_ends_are_in_the_daemons_log() -> None:
    assert started_servers(CONTROL) == (337, 338)
    assert str(line_about_exit(CONTROL, 337)).endswith("Server 337 exited with status 9")
    assert line_about_exit(CONTROL, 338) is None
    assert line_about_exit(CONTROL, 33) is None


@pytest.mark.parametrize(
    ("error", "log", "workers", "told"),
    [
        (BUSY, CONTROL + REFUSED, 3, REFUSED),
        (BUSY, "Server: too many connections", 3, "too many connections"),
        (BUSY, CONTROL, 61, "this run needs 61"),
        (BUSY, CONTROL, 48, None),
        (BUSY, "Device pinned memory limit for device 0 set to 0x140000000 bytes", 3, None),
        ("failed (load): OutOfMemoryError", CONTROL + REFUSED, 61, None),
    ],
)
def test_only_a_busy_device_with_a_sign_of_the_limit_names_it(
    error: str, log: str, workers: int, told: str | None
) -> None:
    reason = why_refused(error, log, workers)
    assert (reason is None) == (told is None)
    assert (told or "") in (reason or "")
