"""MLflow's UI as a place to work: a person finds a sweep, sorts it, opens and compares its runs."""

import re

import pytest
from selenium.webdriver import Chrome

from mps_experiments.tracking.views import link_to, link_to_all_sweeps
from tests.browser.conftest import TIMES, Sweep
from tests.browser.mlflow_pages import Pages

pytestmark = pytest.mark.browser
THROUGHPUT = "metrics.`throughput_per_s`"


@pytest.fixture
def pages(browser: Chrome, sweep: Sweep) -> Pages:
    return Pages(browser, sweep.address)


def open_table(pages: Pages, sweep: Sweep) -> None:
    """The page that the last line of the sweep names."""
    pages.open_link(link_to(sweep.parent.info.experiment_id, sweep.parent.data.tags["sweep_id"]))


def throughputs(pages: Pages, sweep: Sweep) -> list[float]:
    """The column, once it has a value for each VALID run."""

    def values() -> list[float]:
        return [float(text) for text in pages.cells(THROUGHPUT) if text not in ("", "-")]

    pages.wait_for(lambda: len(values()) == len(sweep.valid), "column of throughputs")
    return values()


def test_the_newest_sweep_is_found_from_the_list_of_experiments(pages: Pages, sweep: Sweep) -> None:
    pages.open_experiments()
    pages.open_experiment("mps_experiments")
    pages.wait_for(lambda: pages.run_ids() == [sweep.parent.info.run_id], "row of the sweep alone")
    assert pages.run_name(sweep.parent.info.run_id) == sweep.parent.info.run_name
    pages.enter_run(sweep.parent.info.run_id)
    pages.has_text("Child runs")


def test_the_prepared_table_has_the_valid_runs_the_best_first_and_the_columns_that_matter(
    pages: Pages, sweep: Sweep
) -> None:
    open_table(pages, sweep)
    best_first = sorted(
        sweep.valid, key=lambda run: float(run.data.metrics["throughput_per_s"]), reverse=True
    )
    logged = [run.data.metrics["throughput_per_s"] for run in best_first]
    assert throughputs(pages, sweep) == logged
    assert pages.run_ids() == [run.info.run_id for run in best_first]
    assert len(best_first) < len(sweep.children)  # mps=on is SKIPPED on a CPU
    shown = [name for name in pages.columns() if name not in ("Parameters", "Metrics", "Tags")]
    factors = ["mps", "procs", "times", "batch", "repeat"]
    assert shown[:8] == ["Run Name", "Created", *factors, "throughput_per_s"]
    pages.sort_by(THROUGHPUT)
    pages.wait_for(lambda: throughputs(pages, sweep) == logged[::-1], "table sorted the other way round")


def test_the_sweeps_page_begins_with_the_decision_and_leads_to_its_runs(pages: Pages, sweep: Sweep) -> None:
    run = sweep.parent
    pages.open_run(run.info.experiment_id, run.info.run_id)
    description = pages.description()
    decision = run.data.tags["mlflow.note.content"].splitlines()[0]
    assert description.text.splitlines()[0] == re.sub(r"[*\\]", "", decision)
    assert "2 replicas" in decision
    pages.follow("The VALID runs of this sweep, best first")
    valid = {child.info.run_id for child in sweep.valid}
    pages.wait_for(lambda: set(pages.run_ids()) == valid, "table of the sweep's runs")


def test_the_table_of_all_sweeps_compares_what_each_swept_and_decided(pages: Pages, sweep: Sweep) -> None:
    pages.open_link(link_to_all_sweeps(sweep.parent.info.experiment_id))
    pages.wait_for(lambda: pages.run_ids() == [sweep.parent.info.run_id], "row of the sweep alone")
    assert pages.cells("metrics.`best_procs`") == ["2"]
    assert [float(text) for text in pages.cells("metrics.`best_throughput_per_s`")] == [
        sweep.parent.data.metrics["best_throughput_per_s"]
    ]
    params = sweep.parent.data.params
    assert (params["procs"], params["mps"], params["gpu"]) == ("1,2", "off,on", "none")


def test_no_two_runs_share_a_name_and_each_says_what_it_is(pages: Pages, sweep: Sweep) -> None:
    assert len(sweep.children) == sweep.child_count
    two, one = (sweep.named("mps=off", f"procs={procs}", "repeat=0") for procs in (2, 1))
    is_told = "ratio_missing" not in two.data.tags  # else a busy machine slowed the one process
    assert ("ratio" in two.data.metrics) is is_told
    assert "ratio" not in one.data.metrics
    assert two.data.params["options.torch"] == "True"
    for run in sweep.children.values():
        named = [*run.data.params, *run.data.metrics, *run.data.tags]
        assert len(named) == len(set(named)), "one name stands for two things"
    pages.open_run(two.info.experiment_id, two.info.run_id)
    pages.has_text("2 processes: ratio" if is_told else "something slowed the one-process run")


def test_a_childs_picture_is_shown_among_its_artifacts(pages: Pages, sweep: Sweep) -> None:
    child = sweep.named("mps=off", "procs=2", "repeat=1")
    open_table(pages, sweep)
    throughputs(pages, sweep)
    pages.enter_run(child.info.run_id)
    pages.choose_tab("Artifacts")
    names = pages.artifacts()
    assert {"measurement.json", "timeline.png", "worker-0.log", "worker-1.log"} <= set(names)
    pages.open_artifact("timeline.png")
    assert pages.image_width() > 500


def test_a_childs_latency_is_a_chart_with_a_point_for_each_iteration(pages: Pages, sweep: Sweep) -> None:
    child = sweep.named("mps=off", "procs=2", "repeat=0")
    pages.open_run(child.info.experiment_id, child.info.run_id)
    pages.choose_tab("Model metrics")
    assert [pages.chart("by_iteration", f"worker_{rank}_ms") for rank in (0, 1)] == [TIMES, TIMES]


def test_comparing_two_runs_shows_what_differs(pages: Pages, sweep: Sweep) -> None:
    runs = [sweep.named("mps=off", f"procs={procs}", "repeat=0") for procs in (1, 2)]
    open_table(pages, sweep)
    throughputs(pages, sweep)
    for run in runs:
        pages.select(run.info.run_id)
    pages.compare()
    params = pages.differing_params()
    assert {name: sorted(values) for name, values in params.items()} == {"procs": ["1", "2"]}
    expected = {"by_iteration/worker_0_ms", "cell/procs"} | ({"gain"} & runs[1].data.metrics.keys())
    assert expected <= set(pages.differing_metrics())
