"""Whatever a control program prints is read without a crash, line by line."""

import re

from hypothesis import given
from hypothesis import strategies as st

from mps_experiments.mps.control import MpsClient, parse_clients, parse_pids

PIDS = st.integers(min_value=0, max_value=9_999_999_999)
SPACE = st.text(" \t", min_size=1, max_size=5)
CLIENTS = st.builds(
    MpsClient,
    pid=PIDS,
    server_pid=PIDS,
    device=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1),
)
# Near misses come from pieces of real answers; random characters alone never look like one.
PIECES = st.lists(
    st.one_of(
        st.sampled_from(["\n", " ", "\t", "-", "\0", "\r", "\v", "PID", "Server not found", "٤٧٢", "GPU-1"]),
        st.integers().map(str),
        st.text(max_size=5),
    ),
    max_size=60,
).map("".join)
TEXTS = st.one_of(st.text(), PIECES)


@given(TEXTS)
def test_any_text_gives_pids_that_stand_in_it_alone_on_a_line(text: str) -> None:
    lines = {line.strip() for line in text.split("\n")}
    for pid in parse_pids(text):
        assert 0 <= pid <= 9_999_999_999
        assert any(re.fullmatch("[0-9]+", line) and int(line) == pid for line in lines)


@given(TEXTS)
def test_any_text_gives_clients_that_stand_in_it_together_on_a_line(text: str) -> None:
    rows = [words for line in text.split("\n") if len(words := line.split()) >= 4]
    numbers = {(row[0], row[2]) for row in rows}
    for client in parse_clients(text):
        assert (client.pid, client.server_pid) in {
            (int(pid), int(server)) for pid, server in numbers if (pid + server).isdecimal()
        }


@given(st.lists(PIDS))
def test_pids_are_read_as_they_were_written(pids: list[int]) -> None:
    assert parse_pids("".join(f"{pid}\n" for pid in pids)) == tuple(pids)


@given(st.lists(CLIENTS), SPACE)
def test_clients_are_read_as_they_were_written(clients: list[MpsClient], space: str) -> None:
    rows = [
        space.join([str(each.pid), "1", str(each.server_pid), each.device, "4026531836", "python"])
        for each in clients
    ]
    assert parse_clients("".join(f"{row}\n" for row in rows)) == tuple(clients)


def test_a_row_that_is_spread_over_lines_is_no_client() -> None:
    assert parse_clients("472\n1\n476\nGPU-1\n1\npython\n") == ()


def test_a_flood_of_empty_lines_takes_no_longer_than_its_length() -> None:
    """Parse in linear time: in quadratic time this takes hours, and the test's timeout ends it."""
    flood = "\n" * 1_000_000 + " " * 1_000_000
    assert parse_clients(flood) == ()
    assert parse_pids(flood) == ()
