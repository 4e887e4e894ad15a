"""That MPS ended, when, and how it was seen, in words."""

from mps_experiments.mps.end_watch import End
from mps_experiments.run.mps_ending import describe_end

SERVER = End(name="server", pid=476, at_ns=3_500_000_000)
DAEMON = End(name="daemon", pid=470, at_ns=2_000_000_000)
LOG = "[x Control 470] Starting new server 476\n[x Control 470] Server 476 exited with status 9\n"


def test_the_first_end_tells_the_time_and_every_sign_is_named() -> None:
    assert describe_end([SERVER], 1_250_000_000, (), LOG) == (
        "MPS ended by 2.25 s into the window (its server (pid 476) is gone; servers afterwards: none; "
        "control.log: [x Control 470] Server 476 exited with status 9)"
    )


def test_a_daemon_that_takes_its_server_along_answers_no_more() -> None:
    assert describe_end([DAEMON, SERVER], 1_250_000_000, None, "") == (
        "MPS ended by 0.75 s into the window (its daemon (pid 470) and its server (pid 476) are gone)"
    )


def test_a_new_server_is_named() -> None:
    assert "servers afterwards: 500" in describe_end([SERVER], 0, (500,), "")


def test_without_a_start_or_before_it_there_is_no_time_to_tell() -> None:
    for start_ns in (None, 4_000_000_000):
        assert describe_end([SERVER], start_ns, None, "").startswith("MPS ended before the window (")
