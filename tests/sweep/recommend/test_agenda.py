"""The jobs of a search, each answered by a record that was made for it."""

import time
from collections.abc import Callable
from dataclasses import replace

from mps_experiments.config.schema import Config
from mps_experiments.record.measurement import Measurement
from mps_experiments.sweep.agenda import Job
from mps_experiments.sweep.recommend.agenda import SearchAgenda, SearchGrid
from mps_experiments.sweep.recommend.aim import Aim
from tests.records import INVALID, MACHINE
from tests.sweep.recommend.conftest import truth
from tests.sweep.recommend.stored_records import Cells, Truth

HOST = replace(MACHINE, usable_cores=tuple(range(16)))


def agenda_of(cells: Cells, budget_s: float = 1200.0, adapts_window: bool = False) -> SearchAgenda:
    study = cells.study(Aim())
    return SearchAgenda(study=study, machine=HOST, budget_s=budget_s, adapts_window=adapts_window)


def played(
    cells: Cells, agenda: SearchAgenda, as_it_is: Callable[[Config], Truth]
) -> tuple[list[Job], list[str]]:
    """The jobs, and what was said between them."""
    jobs, runs, said = list[Job](), list[Measurement](), list[str]()
    for job in agenda.arrange(runs, lambda _, text: said.append(text)):
        jobs.append(job)
        runs.append(cells.run(job.cell, as_it_is, job.block))
    return jobs, [text for text in said if text]


def test_the_first_runs_are_those_that_were_composed_already(cells: Cells) -> None:
    jobs, said = played(cells, agenda := agenda_of(cells), truth)
    assert [job.cell for job in jobs[:3]] == [0, 0, 0]
    assert [job.number for job in jobs[:3]] == [0, 6, 7]  # the first block as it was composed, then anew
    assert {job.number for job in jobs[3:8]} == set(range(1, 6))
    assert len({job.number for job in jobs}) == len(jobs)
    assert agenda.study.search.standing().chosen is not None
    assert said[0].startswith("noise: equal runs differ by ")
    assert agenda.study.measured == len(jobs)


def test_what_there_is_to_measure_is_said_first(cells: Cells) -> None:
    agenda = agenda_of(cells, budget_s=90.0)
    assert agenda.opening_line() == "6 cells, 8 runs at least, 1.5 min at most"
    for block in range(3):
        agenda.study.add(0, block, cells.run(0, truth, block))
    agenda.study.exclude(5, "too large")
    assert agenda.opening_line() == "5 cells, 4 runs at least, 1.5 min at most"


def test_no_run_is_begun_that_would_not_be_done_in_time(cells: Cells) -> None:
    agenda = agenda_of(cells, budget_s=60.0)
    assert agenda.fits(0)
    agenda.started = time.monotonic() - 45  # a run is expected to take 20 s
    assert not agenda.fits(0)
    assert played(cells, agenda, truth) == ([], [])
    assert agenda.study.search.stopped == (
        "no run would be done within the budget; --budget-min 4 should do for the first 8 runs"
    )


def test_a_run_that_was_done_when_a_signal_came_counts_unless_it_is_not_valid(cells: Cells) -> None:
    for verdict, counted in ((None, 1), (INVALID, 0)):
        agenda, runs = agenda_of(cells), list[Measurement]()
        agenda.take_last()  # nothing was made yet
        arranged = agenda.arrange(runs, lambda *_: None)
        job = next(arranged)
        run = cells.run(job.cell, truth, job.block)
        runs.append(run if verdict is None else replace(run, verdict=verdict))
        agenda.take_last()
        agenda.take_last()
        assert (agenda.study.measured, len(agenda.study.runs[job.cell])) == (counted, counted)


def test_a_budget_that_ends_after_a_run_is_used_up(cells: Cells) -> None:
    agenda = agenda_of(cells, budget_s=60.0)

    def late(config: Config) -> Truth:
        agenda.started = time.monotonic() - 55
        return truth(config)

    jobs, _ = played(cells, agenda, late)
    assert len(jobs) == 1
    assert agenda.study.search.stopped == "the budget is used up"


def test_p99_lengthens_the_window_after_a_pilot_run(cells: Cells) -> None:
    def slow(config: Config) -> Truth:
        return Truth(2.0 * truth(config).latency_ms, iterations=600)

    agenda = agenda_of(cells, adapts_window=True)
    jobs, said = played(cells, agenda, slow)
    assert agenda.window_s == 10.0
    assert said[0].startswith("p99 takes 1,000 iterations in a run: window_s=10 ")
    assert jobs[0] == Job(number=0, cell=0, block=0)
    assert min(job.number for job in jobs[1:]) == 6  # all are composed anew
    assert agenda.study.measured == len(jobs) - 1  # the pilot has another window
    grid = SearchGrid(**vars(cells.grid), agenda=agenda)
    config = grid.again(6, of=3, repeat=2).config
    assert (config.window_s, config.repeat, config.procs, config.mps.enabled) == (10.0, 2, 4, True)


def test_a_pilot_whose_window_will_do_is_a_run_like_the_others(cells: Cells) -> None:
    jobs, _ = played(cells, agenda := agenda_of(cells, adapts_window=True), truth)
    assert agenda.window_s is None
    assert agenda.study.measured == len(jobs)
    assert [(job.cell, job.block) for job in jobs[:3]] == [(0, 0), (0, 1), (0, 2)]
