"""The report for other eyes, screens and keyboards: axe-core, both schemes, narrow and wide windows."""

from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from mps_experiments.analysis.runs import ReportRun
from mps_experiments.record.measurement import Measurement
from mps_experiments.report.report_page import Subject
from mps_experiments.report.writing import write_report
from tests.fault_records import faulty_run
from tests.hostile_texts import HOSTILE
from tests.records import INVALID, MACHINE, make_measurement
from tests.report_panels import OTHER_MACHINE, arm, full_sweep, warned

pytestmark = pytest.mark.browser
AXE = (resources.files("axe_core_python") / "axe.min.js").read_text()
RUN_AXE = """
const done = arguments[arguments.length - 1];
axe.run(document).then(done, error => done({violations: [{id: String(error)}]}));
"""
GOES_ON = "return arguments[0].scrollWidth > arguments[0].clientWidth"
WIDTHS = (360, 600, 1280, 1920)
PHONE_HIGH = 844


def everything() -> list[Measurement]:
    """Two machines, two models, faults, failures and warnings."""
    return [
        *full_sweep(),
        *arm("on", {1: (2.0, 2.1), 2: (2.2, 2.3)}, machine=OTHER_MACHINE, record="other"),
        *arm("off", {1: 1.0, 2: 2.0}, model="resnet50", record="resnet50"),
        faulty_run("a"),
        faulty_run("b", mps="on"),
        make_measurement("bad", procs=2, verdict=INVALID),
        warned(make_measurement("warned", times=7), "drift", "worker 0 became slower"),
    ]


def hostile() -> list[Measurement]:
    return [
        replace(
            make_measurement(f"{place}", verdict=replace(INVALID, reason=text), model=text, times=place + 1),
            name=text,
            overrides=(text,),
            machine=replace(MACHINE, hostname=text),
        )
        for place, text in enumerate(HOSTILE)
    ]


@pytest.fixture(scope="module", params=[everything, hostile], ids=lambda made: made.__name__)
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    subject = Subject(runs=tuple(map(ReportRun.of, request.param())), commands=("a command",))
    return write_report(subject, folder).html


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest, browser: Chrome) -> Iterator[str]:
    feature = {"name": "prefers-color-scheme", "value": request.param}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    yield request.param
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.fixture(params=WIDTHS)
def width(request: pytest.FixtureRequest, browser: Chrome) -> Iterator[int]:
    size = {"width": request.param, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    yield int(request.param)
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def unfold(browser: Chrome) -> None:
    browser.execute_script("document.querySelectorAll('details').forEach(each => each.open = true)")


def violations(browser: Chrome) -> list[tuple[str, Any]]:
    """What axe-core objects to, each with the places."""
    browser.execute_script(AXE)
    found = browser.execute_async_script(RUN_AXE)
    assert found.get("passes"), found
    return [
        (each["id"], [node["html"][:200] for node in each.get("nodes", [])]) for each in found["violations"]
    ]


@pytest.mark.parametrize("width", [600, 1280], indirect=True)
def test_axe_core_finds_nothing(browser: Chrome, page: Path, scheme: str, width: int) -> None:
    browser.get(page.as_uri())
    unfold(browser)
    assert violations(browser) == []


def test_axe_core_would_find_something(browser: Chrome, page: Path) -> None:
    browser.get(page.as_uri())
    browser.execute_script(
        "document.querySelector('main').insertAdjacentHTML('beforeend',"
        ' \'<img src="data:,"><p style="color: #999; background: #fff">pale</p>\')'
    )
    assert {"image-alt", "color-contrast"} <= {rule for rule, _ in violations(browser)}


def test_the_page_does_not_scroll_sideways(browser: Chrome, page: Path, width: int) -> None:
    browser.get(page.as_uri())
    unfold(browser)
    assert browser.execute_script("return window.innerWidth") == width
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_the_scheme_changes_page_and_charts(browser: Chrome, page: Path, scheme: str) -> None:
    browser.get(page.as_uri())
    colour = "return getComputedStyle({}).{}"
    paper = browser.execute_script(colour.format("document.body", "backgroundColor"))
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(21, 23, 26)")
    if browser.find_elements(By.CSS_SELECTOR, "svg text"):
        ink = browser.execute_script(colour.format("document.querySelector('svg text')", "fill"))
        assert ink == ("rgb(26, 26, 27)" if scheme == "light" else "rgb(232, 232, 233)")


def test_nothing_ran_and_nothing_was_loaded(browser: Chrome, page: Path) -> None:
    browser.get(page.as_uri())
    assert browser.title.startswith("Processes on ")
    entries = browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert [name for name in entries if not name.startswith("data:")] == []
    assert browser.execute_script("return document.scripts.length") == 0


def test_an_injected_script_would_be_refused_by_the_page_itself(browser: Chrome, page: Path) -> None:
    """The last line of defence, should a text ever get through."""
    text = page.read_text().replace("</main>", "<script>document.title = 'it ran'</script></main>")
    page.with_name("injected.html").write_text(text)
    browser.get(page.with_name("injected.html").as_uri())
    assert "it ran" not in browser.title


@pytest.mark.parametrize("width", [390], indirect=True)
def test_on_a_phone_the_first_chart_is_on_the_second_screen_and_wide_tables_show_that_they_go_on(
    browser: Chrome, tmp_path: Path, width: int
) -> None:
    subject = Subject(runs=tuple(map(ReportRun.of, full_sweep())), commands=("a command",))
    browser.get(write_report(subject, tmp_path).html.as_uri())
    assert browser.find_element(By.TAG_NAME, "figure").rect["y"] < 2 * PHONE_HIGH
    tables = browser.find_elements(By.CSS_SELECTOR, ".scroll")
    wide = [each for each in tables if browser.execute_script(GOES_ON, each)]
    assert wide
    for each in wide:
        assert each.value_of_css_property("background-image").count("linear-gradient") == 4
        browser.execute_script("arguments[0].scrollLeft = 1000", each)
        name = each.find_element(By.CSS_SELECTOR, "tbody th")
        assert name.rect["x"] >= each.rect["x"] - 1


@pytest.mark.parametrize("width", [600, 1280], indirect=True)
def test_labels_of_charts_do_not_overlap_and_stay_inside(browser: Chrome, page: Path, width: int) -> None:
    browser.get(page.as_uri())
    for chart in browser.find_elements(By.CSS_SELECTOR, "figure svg"):
        frame = chart.rect
        boxes = browser.execute_script(
            "return [...arguments[0].querySelectorAll('text')].map(t => {"
            " const b = t.getBoundingClientRect();"
            " return [t.textContent, b.left + scrollX, b.top + scrollY, b.width, b.height]})",
            chart,
        )
        for place, (text, left, top, wide, high) in enumerate(boxes):
            assert left >= frame["x"] - 1, text
            assert left + wide <= frame["x"] + frame["width"] + 1, text
            assert top >= frame["y"] - 3, text
            assert top + high <= frame["y"] + frame["height"] + 3, text
            for other, x, y, w, h in boxes[place + 1 :]:
                apart = x >= left + wide or left >= x + w or y >= top + high - 3 or top >= y + h - 3
                assert apart, f"{text} lies on {other}"
