"""MLflow's UI as a place to work: a person finds a sweep, sorts it, opens and compares its runs."""

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from mps_experiments.tracking.views import link_to
from tests.browser.conftest import TIMES, Sweep
from tests.browser.mlflow_pages import Pages

pytestmark = pytest.mark.browser
RATIO = "metrics.`ratio`"


@pytest.fixture
def pages(browser: Chrome, sweep: Sweep) -> Pages:
    return Pages(browser, sweep.address)


def open_table(pages: Pages, sweep: Sweep) -> None:
    """The page that the last line of the sweep names."""
    pages.open_link(link_to(sweep.parent.info.experiment_id, sweep.parent.data.tags["sweep_id"]))


def ratios(pages: Pages, count: int) -> list[float]:
    """The column, once it has so many values."""

    def values() -> list[float]:
        return [float(text) for text in pages.cells(RATIO) if text not in ("", "-")]

    pages.wait_for(lambda: len(values()) == count, f"column of {count} ratios")
    return values()


def test_the_newest_sweep_is_found_from_the_list_of_experiments(pages: Pages, sweep: Sweep) -> None:
    pages.open_experiments()
    pages.open_experiment("mps_experiments")
    pages.wait_for(lambda: pages.run_ids() == [sweep.parent.info.run_id], "row of the sweep alone")
    assert pages.run_name(sweep.parent.info.run_id) == sweep.parent.info.run_name
    pages.enter_run(sweep.parent.info.run_id)
    pages.has_text("Child runs")


def test_runs_are_sorted_by_ratio_and_have_the_columns_that_matter(pages: Pages, sweep: Sweep) -> None:
    open_table(pages, sweep)
    logged = sorted(
        run.data.metrics["ratio"] for run in sweep.children.values() if "ratio" in run.data.metrics
    )
    assert len(logged) == 4  # mps=on is SKIPPED here
    assert ratios(pages, 4) == logged[::-1]
    shown = [name for name in pages.columns() if name not in ("Parameters", "Metrics", "Tags")]
    assert shown[:7] == ["Run Name", "Created", "mps", "procs", "times", "batch", "repeat"]
    assert shown[7:9] == ["ratio", "gain"]
    pages.sort_by(RATIO)
    pages.wait_for(lambda: ratios(pages, 4) == logged, "table sorted the other way round")


def test_the_sweeps_page_has_the_answer_the_table_and_the_way_to_its_runs(pages: Pages, sweep: Sweep) -> None:
    run = sweep.parent
    pages.open_run(run.info.experiment_id, run.info.run_id)
    description = pages.description()
    assert "2 procs" in description.find_element(By.TAG_NAME, "table").text
    assert "replicas" in description.text.splitlines()[0]
    pages.follow("The runs of this sweep, by ratio")
    children = {child.info.run_id for child in sweep.children.values()}
    pages.wait_for(lambda: set(pages.run_ids()) == children, "table of the sweep's runs")


def test_a_childs_picture_is_shown_among_its_artifacts(pages: Pages, sweep: Sweep) -> None:
    child = sweep.named("mps=off", "procs=2", "repeat=1")
    open_table(pages, sweep)
    ratios(pages, 4)
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
    pages.choose_tab("System metrics")
    pages.chart("System metrics", "cpu_utilization_percentage")


def test_comparing_two_runs_shows_what_differs(pages: Pages, sweep: Sweep) -> None:
    runs = [sweep.named("mps=off", f"procs={procs}", "repeat=0") for procs in (1, 2)]
    open_table(pages, sweep)
    ratios(pages, 4)
    for run in runs:
        pages.select(run.info.run_id)
    pages.compare()
    params = pages.differing_params()
    assert {name: sorted(values) for name, values in params.items()} == {"procs": ["1", "2"]}
    assert {"by_iteration/worker_0_ms", "cell/procs", "gain"} <= set(pages.differing_metrics())
