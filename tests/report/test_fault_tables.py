"""The tables of faults, read as a person reads them."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from mps_experiments.record.faults import DeviceMemory, ServerState
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.verdict import Status, Verdict
from mps_experiments.report.content import Table
from mps_experiments.report.fault_tables import fault_figures, fault_matrices
from mps_experiments.report.tables import table_text
from tests.fault_records import (
    FAILED,
    KILLED,
    NOT_APPLICABLE,
    TOO_LATE,
    alone,
    faulty_run,
    make_trial,
    newcomer,
)
from tests.outputs import with_output

NOTHING = "-"


def only(*measurements: Measurement) -> Table:
    (table,) = fault_figures(measurements)
    return table


def row_of(*measurements: Measurement) -> dict[str, str]:
    """Column -> text of the only row."""
    table = only(*measurements)
    (row,) = table.rows
    return dict(zip(table.header, row, strict=True))


def lines(*measurements: Measurement) -> tuple[str, ...]:
    """What stands below the table."""
    return only(*measurements).notes


def test_a_line_of_the_table_tells_what_became_of_everybody() -> None:
    active = (ServerState(at_ns=10, servers={7: "ACTIVE"}),)
    trials = [
        make_trial(came=newcomer(1000, 1400), server_states=active, memory=memory(left=0)),
        make_trial("kill", KILLED, FAILED, came=newcomer(1000, 2000), server_states=active),
        make_trial(came=newcomer(1000, 1400, attached=False), memory=memory(left=3 * 2**20)),
    ]
    latencies = {0: (100, 100), 1: (100, 100, 300, 100)}  # the third is under way at the fault
    found = [
        faulty_run(str(n), mps="on", number=n, trial=trial, latencies_ms=latencies)
        for n, trial in enumerate(trials)
    ]
    assert row_of(*found, alone(mps="on")) == {
        "fault": "kill",
        "mps": "on",
        "trials": "3",
        "others finished": "2 of 3",
        "survivor": "0.6 s",
        "/ one process": "1.50",
        "latency before, at, after": "100.0, 300.0, 100.0 ms",
        "blip": "200.0 (max 200.0) ms",
        "server": "ACTIVE (2 of 3)",
        "new client": "3 of 3, 0.20 s",
        "without MPS": "1 of 3",
        "left over": "3 MiB",
    }


def memory(left: int) -> DeviceMemory:
    return DeviceMemory(before=2**30, workers_gone=2**31, end=2**30 + left)


def test_where_nobody_survived_the_survivors_columns_are_empty() -> None:
    row = row_of(faulty_run("one", "daemon_kill", mps="on"), alone(mps="on"))
    assert row["others finished"] == "0 of 1"
    empty = ("survivor", "/ one process", "latency before, at, after", "blip", "server", "left over")
    assert {row[name] for name in empty} == {NOTHING}
    assert row["new client"] == "0 of 1"


def test_what_is_not_known_and_without_mps_what_is_said_of_a_server_is_left_out() -> None:
    row = row_of(faulty_run("one", trial=make_trial(injected_ms=0, came=newcomer(1, 9000))))
    assert row["latency before, at, after"] == "-, 100.0, - ms"
    assert {row[name] for name in ("blip", "server", "without MPS")} == {NOTHING}


def test_invalid_trials_are_counted_apart_with_their_reasons() -> None:
    run = [faulty_run("a"), faulty_run("b", number=1)]
    late = [faulty_run(f"late {n}", number=n, verdict=TOO_LATE) for n in (2, 3)]
    other = replace(late[0], record_id="other", verdict=Verdict(status=Status.INVALID, reason="not attached"))
    row = row_of(*run, *late, other)
    assert (row["trials"], row["others finished"]) == ("2 VALID of 5", "2 of 2")
    told = lines(*run, *late, other)
    assert f"fault=kill mps=off: INVALID: {TOO_LATE.reason} (2 times)" in told
    assert "fault=kill mps=off: INVALID: not attached" in told


@pytest.mark.parametrize("verdict", [NOT_APPLICABLE, TOO_LATE], ids=lambda verdict: verdict.status.value)
def test_a_cell_without_a_valid_trial_shows_its_verdict_and_nothing_else(verdict: Verdict) -> None:
    run = faulty_run("one", "server_kill", verdict=verdict)
    values = list(row_of(run).values())
    assert values == ["server_kill", "off", verdict.status.value, *[NOTHING] * (len(values) - 3)]
    assert lines(run) == (f"fault=server_kill mps=off: {verdict.status.value}: {verdict.reason}",)


def test_what_was_seen_stands_below_once_for_texts_that_differ_in_numbers_only() -> None:
    seen = [replace(FAILED, text=f"failed: CUDA error {n} at 0x7f{n}a") for n in (1, 2, 3)]
    came = newcomer(500, 900, failures=("worker 2 died",))
    found = [
        faulty_run(str(n), number=n, trial=make_trial("kill", KILLED, fate, came=came))
        for n, fate in enumerate(seen)
    ]
    assert lines(*found) == (
        "fault=kill mps=off: the worker that was hit: was killed by SIGKILL (3 times)",
        "fault=kill mps=off: other workers: failed: CUDA error 1 at 0x7f1a (3 times)",
        "fault=kill mps=off: refused new clients: worker 2 died (3 times)",
    )


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((1.0, 2.0), "survivors' outputs afterwards: 1 of 1 "),
        ((1.0, 2.00001), "survivors' outputs afterwards: 0 of 1 "),
        ((1.0, 2.5), "SURVIVORS COMPUTED SOMETHING ELSE in 1 of 1 cases: by up to 0.5, most in 0.boxes"),
    ],
)
def test_whether_survivors_still_compute_what_they_should_is_told(values: Sequence[float], text: str) -> None:
    told = lines(with_output(faulty_run("one"), *values), with_output(alone(), 1.0, 2.0))
    assert [line for line in told if line.startswith(f"fault=kill mps=off: {text}")]


def test_off_and_on_share_a_table_and_other_settings_have_their_own() -> None:
    together = only(faulty_run("off"), faulty_run("on", mps="on"), faulty_run("exit", "exit"))
    assert [row[:2] for row in together.rows] == [("kill", "off"), ("kill", "on"), ("exit", "off")]
    longer = replace(faulty_run("b"), cell=faulty_run("b").cell.moved(times=9))
    tables = fault_figures([faulty_run("a"), longer, faulty_run("c", model="resnet50")])
    assert [table.title.split(" · ")[1:] for table in tables] == [
        ["maskrcnn_resnet50_fpn", "2 processes, times=4"],
        ["maskrcnn_resnet50_fpn", "2 processes, times=9"],
        ["resnet50", "2 processes, times=4"],
    ]


def test_the_matrix_has_a_row_for_each_fault_and_a_column_for_each_state() -> None:
    fell_back = make_trial("kill", KILLED, FAILED, came=newcomer(1000, 1400, attached=False))
    found = [
        faulty_run("0"),
        faulty_run("1", mps="on", trial=make_trial(came=newcomer(1000, 1400))),
        faulty_run("2", mps="on", number=1, trial=fell_back),
        faulty_run("3", "exit", mps="on", verdict=TOO_LATE),
    ]
    (matrix,) = fault_matrices(found)
    assert (matrix.header, matrix.holds_text) == (("fault", "MPS off", "MPS on"), True)
    assert matrix.rows == (
        (
            "kill",
            "others: 1 of 1\nnew client: 0 of 1",
            "others: 1 of 2\nnew client: 2 of 2\nwithout MPS: 1 of 2",
        ),
        ("exit", "", "INVALID"),
    )
    assert list(fault_matrices([alone()])) == []


def test_the_text_of_a_sweep_holds_the_ordinary_table_without_the_trials_and_that_of_faults() -> None:
    ordinary = table_text([alone()])
    text = table_text([alone(), faulty_run("one"), faulty_run("bad", number=1, verdict=TOO_LATE)])
    assert text.startswith(ordinary)
    assert text[len(ordinary) :].startswith("FAULTS · maskrcnn_resnet50_fpn · 2 processes, times=4")
    assert "was killed by SIGKILL" in text
