"""A real browser, and a real MLflow server on the store that a small sweep made."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from tests.conftest import CHECKOUT, SRC
from tests.fakes.stores import new_store
from tests.fakes.warm import warm
from tests.tracking.conftest import free_port, mlflow_server

REQUIRED = "MPSX_REQUIRE_BROWSER"  # set where these tests must not be skipped
TIMES = 6
_BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_SIZE = (1600, 1200)
_LOAD_TIMEOUT_S, _SCRIPT_TIMEOUT_S = 60, 30


def _find(what: str, *names: str) -> str:
    """The first of these programs that is there; without one the tests are skipped, or fail if required."""
    for name in names:
        if (path := shutil.which(name)) is not None:
            return path
    reason = f"no {what}: none of {', '.join(names)} is on PATH (Debian: chromium, chromium-driver)"
    if os.environ.get(REQUIRED):
        pytest.fail(f"{reason}, and {REQUIRED} is set")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def programs() -> tuple[str, str]:
    """The browser and its driver."""
    return _find("Chromium", *_BROWSERS), _find("driver for Chromium", "chromedriver")


@pytest.fixture(scope="module")
def browser(programs: tuple[str, str]) -> Iterator[Chrome]:
    """A browser without a window; what it stored is gone with it."""
    chromium, driver = programs
    options = ChromeOptions()
    options.binary_location = chromium
    # Its sandbox refuses root, and /dev/shm is small in containers.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.add_argument(f"--window-size={_SIZE[0]},{_SIZE[1]}")
    opened = Chrome(options, ChromeService(driver, log_output=subprocess.DEVNULL))
    try:
        opened.set_page_load_timeout(_LOAD_TIMEOUT_S)
        opened.set_script_timeout(_SCRIPT_TIMEOUT_S)
        yield opened
    finally:
        opened.quit()


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A finished sweep: its folder, and its runs in MLflow by name."""

    folder: Path
    address: str
    parent: Run
    children: dict[str, Run]
    child_count: int

    @property
    def valid(self) -> list[Run]:
        """The VALID runs without the second of two equal ones."""
        valid = [run for run in self.children.values() if run.data.tags["verdict"] == "VALID"]
        return [run for run in valid if run.data.tags["kind"] != "twin"]

    def named(self, *parts: str) -> Run:
        """The run whose name has all of these words; not the second of two equal ones."""
        words = {name: set(name.split()) for name in self.children}
        (name,) = (name for name, found in words.items() if set(parts) <= found and "twin" not in found)
        return self.children[name]


@pytest.fixture(scope="session")
def sweep(programs: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sweep]:
    """A sweep on the CPU, and a server on its store."""
    folder = tmp_path_factory.mktemp("browsed")
    warm()  # it imports while the store is made
    new_store(folder / "outputs" / "mlflow.db")
    arguments = (
        *("-m", "workload=custom", "workload.factory=tests.fakes.moody:build", "device=cpu"),
        *("workload.options={torch: true, sleep_s: 0.02}", "procs=1,2", "mps=off,on"),
        *(f"times={TIMES}", "repeat=0,1"),
    )
    surroundings = os.environ | {"PYTHONPATH": os.pathsep.join([str(SRC), str(CHECKOUT)])}
    done = warm().run("mps_experiments", arguments, folder, surroundings)
    assert done.returncode == 0, done.stdout + done.stderr
    with mlflow_server(folder, free_port(), folder / "outputs" / "mlflow.db") as (address, _):
        client = MlflowClient(tracking_uri=address)
        experiment = client.get_experiment_by_name("mps_experiments")
        runs = client.search_runs([experiment.experiment_id])
        (parent,) = (run for run in runs if "command" in run.data.tags)
        (page,) = (folder / "outputs").glob("*/*/sweep.json")
        children = {str(run.info.run_name): run for run in runs if run is not parent}
        yield Sweep(
            folder=page.parent,
            address=address,
            parent=parent,
            children=children,
            child_count=len(runs) - 1,
        )
