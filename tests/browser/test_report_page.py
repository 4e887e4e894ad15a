"""The HTML report in a browser: from the sweep's folder, and among the artifacts in MLflow."""

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.browser.conftest import Sweep
from tests.browser.mlflow_pages import Pages

pytestmark = pytest.mark.browser
LOG = "return performance.getEntriesByType('resource').map(entry => entry.name)"


def shown(browser: Chrome, selector: str) -> list[WebElement]:
    """Elements that are drawn, with a size."""
    found = browser.find_elements(By.CSS_SELECTOR, selector)
    return [
        each
        for each in found
        if each.is_displayed() and each.size["width"] > 100 and each.size["height"] > 20
    ]


def charts_are_drawn(browser: Chrome) -> None:
    """Every figure is a picture that was decoded, or a drawing of shapes."""
    figures = shown(browser, "img, figure svg, svg[role='img']")
    assert figures
    for figure in figures:
        if figure.tag_name == "img":
            assert browser.execute_script("return arguments[0].naturalWidth", figure) > 100
        else:
            assert figure.find_elements(By.CSS_SELECTOR, "path, rect, line, circle")


def test_the_report_shows_its_tables_and_charts_and_loads_nothing_from_elsewhere(
    browser: Chrome, sweep: Sweep
) -> None:
    browser.get((sweep.folder / "report.html").as_uri())
    tables = shown(browser, "table")
    assert any("items/s" in table.text and "ratio" in table.text for table in tables)
    charts_are_drawn(browser)
    elsewhere = [name for name in browser.execute_script(LOG) if not name.startswith(("data:", "file:"))]
    assert elsewhere == []
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")


def test_the_report_is_shown_among_the_artifacts_of_the_sweeps_run(browser: Chrome, sweep: Sweep) -> None:
    pages = Pages(browser, sweep.address)
    pages.open_run(sweep.parent.info.experiment_id, sweep.parent.info.run_id)
    pages.choose_tab("Artifacts")
    assert {"report.html", "report.md", "tables.txt", "figures"} <= set(pages.artifacts())
    pages.open_artifact("report.html")
    pages.enter_frame()
    try:
        pages.wait_for(lambda: shown(browser, "table"), "table of the report")
        charts_are_drawn(browser)
    finally:
        browser.switch_to.default_content()
