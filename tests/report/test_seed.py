"""The tables of the first experiment."""

import pytest

from mps_experiments.report.seed import seed_table


def test_both_tables_are_there_off_before_on() -> None:
    off, on = seed_table("off"), seed_table("on")
    assert "MPS OFF" in off.title
    assert "MPS ON" in on.title
    assert off.header == on.header == ("times", "1 proc", "2 procs", "ratio")
    assert [row[0] for row in off.rows] == ["50", "100", "200", "400"]
    assert len(on.rows) == 5


def test_each_ratio_is_that_of_its_row() -> None:
    """The mean of both processes over the one; two decimals, rounded as they were published."""
    for table in map(seed_table, ("off", "on")):
        for _, one, two, ratio in table.rows:
            together = [float(text) for text in two.split(", ") if text != "killed"]
            assert float(ratio) == pytest.approx(sum(together) / len(together) / float(one), abs=0.02)


def test_it_is_said_why_seconds_must_not_be_compared() -> None:
    for table in map(seed_table, ("off", "on")):
        assert "Compare ratios, not seconds." in table.notes[0]
