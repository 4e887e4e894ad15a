"""What all tests share: the command line as a user has it, labs for single runs, and the gpu marker."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil
import pynvml
import pytest
from hypothesis import settings

from mps_experiments.mps.guardian import Guardian
from tests.fakes.running import Lab, open_lab
from tests.fakes.warm import warm

CHECKOUT = Path(__file__).parents[1]
SRC = CHECKOUT / "src"
COMMAND_TIMEOUT_S = 240.0

# A shell starts background jobs with SIGINT ignored, and children inherit that: tests that send it need it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every session, and none kept on disk: a red test stays red until it is mended.
settings.register_profile("steady", derandomize=True, database=None, deadline=None, max_examples=200)
settings.load_profile("steady")


def command_of(process: psutil.Process) -> str:
    """Empty for one that has ended: it may do so while it is looked at, or belong to another test."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def why_no_gpu() -> str | None:
    """Why `gpu` tests cannot run here; None if they can."""
    try:
        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
        pynvml.nvmlShutdown()
    except pynvml.NVMLError as error:
        return f"no NVIDIA driver: {error}"
    if count == 0:
        return "no NVIDIA GPU"
    if shutil.which("nvidia-cuda-mps-control") is None:
        return "nvidia-cuda-mps-control is not on PATH"
    return None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite-golden", action="store_true", help="write tests/golden anew; look at the difference"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip `gpu` tests, with the reason, where there is no GPU with MPS."""
    reason = why_no_gpu()
    if reason is None:
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="module")
def guardian() -> Iterator[Guardian]:
    with Guardian() as started:
        yield started


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.gpu)])
def lab(request: pytest.FixtureRequest, guardian: Guardian) -> Iterator[Lab]:
    with open_lab(guardian, real=request.param == "real") as opened:
        yield opened


@pytest.fixture
def fake_lab(guardian: Guardian) -> Iterator[Lab]:
    with open_lab(guardian, real=False) as opened:
        yield opened


def run_python(
    *words: object,
    path: Sequence[Path] = (SRC,),
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a Python of its own to its end, with these words, such as ``-c CODE``, on its command line."""
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path)), **(environment or {})},
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )


def run_bash(command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of Bash."""
    return subprocess.run(
        ["bash", "-c", command],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        check=False,
    )


Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def mps_experiments(tmp_path: Path) -> Command:
    """Run ``python -m mps_experiments ARGUMENTS`` in an empty folder, as a user would.

    With variables of its own it starts from nothing, since some of them matter to the interpreter.
    """

    def run(
        *arguments: str, module: str = "mps_experiments", cwd: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        paths = [str(SRC), *filter(None, [os.environ.get("PYTHONPATH")])]
        if not environment:
            pythonpath = {"PYTHONPATH": os.pathsep.join(paths)}
            return warm().run(module, arguments, cwd or tmp_path, os.environ | pythonpath)
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=cwd or tmp_path,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )

    return run
