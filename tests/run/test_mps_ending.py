"""That MPS ended, and how it was seen, in words."""

from mps_experiments.run.mps_ending import describe_end

LOG = "[x Control 470] Starting new server 476\n[x Control 470] Server 476 exited with status 9\n"


def test_every_sign_of_the_end_is_named() -> None:
    assert describe_end({476: "server"}, (), LOG) == (
        "MPS ended: its server (pid 476) is gone (servers afterwards: none; "
        "control.log: [x Control 470] Server 476 exited with status 9)"
    )
    assert "servers afterwards: 500" in describe_end({476: "server"}, (500,), "")


def test_a_daemon_that_takes_its_server_along_answers_no_more() -> None:
    assert describe_end({470: "daemon", 476: "server"}, None, "") == (
        "MPS ended: its daemon (pid 470) and its server (pid 476) are gone"
    )
