"""MLflow's pages as a person uses them. All that depends on how MLflow builds them is in this file.

Every method waits until the page is so far, with a deadline; none sleeps.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from selenium.common.exceptions import ElementClickInterceptedException, StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

DEADLINE_S = 60.0
_T = TypeVar("_T")
_TEXT = "//*[normalize-space(text())={}]"


class Pages:
    """One browser at one MLflow server.

    Args:
        browser: The browser.
        address: The server's.
    """

    def __init__(self, browser: Chrome, address: str) -> None:
        self._browser, self._address = browser, address
        browser.get(f"{address}/health")  # the same origin, and no page of the UI that would write it again
        browser.execute_script(
            "localStorage.clear();"
            "localStorage['mlflow.assistant.panelOpen_v1'] = 'false';"
            "localStorage['mlflow.assistant.fab.autoOpenedOnFirstLoad_v1'] = 'true';"
        )

    def _open(self, page: str) -> None:
        self._browser.get("about:blank")  # only the part after # differs: the page would not be loaded anew
        self._browser.get(f"{self._address}/#{page}")

    def open_experiments(self) -> None:
        """The list of experiments."""
        self._open("/experiments")

    def open_experiment(self, name: str) -> None:
        """From the list of experiments, as one that trains models."""
        self._click(By.XPATH, "//*[@role='button'][normalize-space()='Model training']")
        self._click(By.LINK_TEXT, name)

    def open_link(self, link: str) -> None:
        """A page by what stands behind the server's address."""
        self._open(link.removeprefix("#"))

    def open_run(self, experiment_id: str, run_id: str, tab: str = "") -> None:
        """A run's page; `tab` as in its address."""
        self._open(f"/experiments/{experiment_id}/runs/{run_id}{tab}?workflowType=machine_learning")

    def columns(self) -> list[str]:
        """Heads of the table's columns from left to right, as far as they are on the screen."""
        heads = self._all("[role='columnheader'][col-id]")
        return [head.text for head in sorted(heads, key=lambda head: head.rect["x"]) if head.text]

    def run_ids(self) -> list[str]:
        """The table's rows from top to bottom."""
        rows = self._all(".ag-pinned-left-cols-container [role='row']")
        in_order = sorted(rows, key=lambda row: int(row.get_attribute("row-index") or -1))
        return [str(row.get_attribute("row-id")) for row in in_order]

    def cells(self, column: str) -> list[str]:
        """A column's texts from top to bottom; `column` such as ``metrics.`ratio` ``."""
        cells = self._all(f"[role='gridcell'][col-id='{column}']")
        return [cell.text for cell in sorted(cells, key=lambda cell: cell.rect["y"])]

    def sort_by(self, column: str) -> None:
        """Click a column's head."""
        self._click(By.CSS_SELECTOR, f"[role='columnheader'][col-id='{column}'] [data-testid^='sort-header']")

    def run_name(self, run_id: str) -> str:
        """What the table calls a run."""
        return self._visible(By.CSS_SELECTOR, f"[row-id='{run_id}'] a").text

    def enter_run(self, run_id: str) -> None:
        """Click a run's name in the table."""
        self._click(By.CSS_SELECTOR, f"[row-id='{run_id}'] a")

    def choose_tab(self, name: str) -> None:
        """A tab of a run's page."""
        self._click(By.XPATH, f"//*[@role='tab'][normalize-space()={name!r}]")

    def has_text(self, text: str) -> None:
        """See a text that is an element's own."""
        self._visible(
            By.XPATH,
            f"//*[contains(normalize-space(), {text!r})][not(*[contains(normalize-space(), {text!r})])]",
        )

    def description(self) -> WebElement:
        """A run's whole description."""
        self._click(By.XPATH, _TEXT.format("'Show more'"))
        self._visible(By.XPATH, _TEXT.format("'Show less'"))
        return self._visible(
            By.XPATH,
            "//*[@data-testid='note-view-outer-container' or contains(@class, 'note-view-outer-container')]",
        )

    def follow(self, link: str) -> None:
        """Click a link of a description, which opens a page of its own."""
        known = set(self._browser.window_handles)
        self._click(By.LINK_TEXT, link)
        self.wait_for(lambda: set(self._browser.window_handles) - known, "the new page")
        (new,) = set(self._browser.window_handles) - known
        self._browser.close()
        self._browser.switch_to.window(new)

    def artifacts(self) -> list[str]:
        """Names of the files at the top."""
        self._visible(By.CSS_SELECTOR, "[data-testid='artifact-tree-node']")
        return [node.text for node in self._all("[data-testid='artifact-tree-node']")]

    def open_artifact(self, name: str) -> None:
        """Click a file's name."""
        self._click(By.XPATH, f"//*[@aria-label={name!r}]")

    def image_width(self) -> int:
        """Of the picture that is shown, in its own pixels."""

        def widths() -> list[int]:
            pictures = self._all("img[src^='blob:']")
            return [int(str(each.get_property("naturalWidth"))) for each in pictures]

        return self.wait_for(lambda: max(widths(), default=0), "picture")

    def enter_frame(self) -> None:
        """The page within a page in which an HTML file is shown."""
        frame = self._visible(By.TAG_NAME, "iframe")
        self._browser.switch_to.frame(frame)

    def chart(self, section: str, name: str) -> int:
        """How many points a chart of a run's page marks, once it is drawn; long series are lines without."""
        self._visible(By.XPATH, f"//*[@role='button'][contains(., {section!r})]")
        card = "//*[@data-testid='experiment-view-compare-runs-card']"
        card += f"[.//*[@title={name!r} or normalize-space(text())={name!r}]]"
        found = self._visible(By.XPATH, card)
        self._browser.execute_script("arguments[0].scrollIntoView()", found)
        marks = ".scatterlayer .point, .scatterlayer .js-line, .barlayer .point"
        self.wait_for(lambda: found.find_elements(By.CSS_SELECTOR, marks), f"curve in the chart {name}")
        return len(found.find_elements(By.CSS_SELECTOR, ".scatterlayer .point"))

    def select(self, run_id: str) -> None:
        """Tick a run of the table."""
        self._click(By.CSS_SELECTOR, f"[row-id='{run_id}'] .ag-checkbox-input-wrapper")

    def compare(self) -> None:
        """Compare the runs that are ticked."""
        self._click(By.XPATH, "//button[normalize-space()='Compare']")
        self.wait_for(lambda: "compare-runs" in self._browser.current_url, "the comparison")

    def differing_params(self) -> dict[str, list[str]]:
        """What the comparison shows once told to show only params that differ: name -> values."""
        table = self._only_differing("Parameters", "table")
        rows = [
            row.find_elements(By.CSS_SELECTOR, "th, td") for row in table.find_elements(By.TAG_NAME, "tr")
        ]
        return {cells[0].text: [cell.text for cell in cells[1:]] for cells in rows if cells and cells[0].text}

    def differing_metrics(self) -> list[str]:
        """Likewise names of metrics, as far as they are on the screen."""
        grid = self._only_differing("Metrics", "div[contains(@class, 'ReactVirtualized__Grid')]")
        return grid.text.splitlines()

    def _only_differing(self, section: str, content: str) -> WebElement:
        below = f"//*[@role='button'][normalize-space()={section!r}]/following::"
        self._click(By.XPATH, f"({below}button[@role='switch'])[1]")
        self._visible(By.XPATH, f"({below}button[@role='switch'])[1][@aria-checked='true']")
        return self._visible(By.XPATH, f"({below}{content})[1]")

    def wait_for(self, condition: Callable[[], _T], what: str) -> _T:
        """What the condition gives once it is true."""
        wait = WebDriverWait(self._browser, DEADLINE_S, ignored_exceptions=[StaleElementReferenceException])
        return wait.until(lambda _: condition(), f"there was no {what} within {DEADLINE_S:g} s")

    def _visible(self, by: str, selector: str) -> WebElement:
        def look() -> Any:
            return next(
                (each for each in self._browser.find_elements(by, selector) if each.is_displayed()), None
            )

        found: WebElement = self.wait_for(look, selector)
        return found

    def _click(self, by: str, selector: str) -> None:
        """With the mouse; again as long as something is drawn over it or it is drawn anew."""

        def click() -> bool:
            try:
                self._visible(by, selector).click()
            except (ElementClickInterceptedException, StaleElementReferenceException):
                return False
            return True

        self.wait_for(click, f"way to click {selector}")

    def _all(self, selector: str) -> list[WebElement]:
        return self._browser.find_elements(By.CSS_SELECTOR, selector)
