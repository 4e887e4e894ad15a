"""What the fork server imports for all workers, and what it had better not."""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from mps_experiments.machine.gpus import open_probe
from mps_experiments.workers import preloading
from mps_experiments.workers.context import ask_child, process_context, without_harm
from mps_experiments.workers.messages import Checked, encode
from tests.workers.conftest import MakeSpecs, pool_of

TIMEOUT_S = 120.0
MODULES = {
    "good": "import time\nVALUE = 1\nprint('hello')\n",
    "late": "def __getattr__(name):\n    import good.deep\n    return good.deep\n",
    "broken": "raise RuntimeError('not today')\n",
    "threads": "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n",
    "cuda_user": "import torch\ntorch.cuda._initialized = True\n",
    "asks": "import torch\nFOUND = torch.cuda.is_available(), torch.cuda.device_count()\n",
    "deadly": "import os\nos._exit(3)\n",
}


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Write modules that a fork server started now can import."""
    for name, text in MODULES.items():
        (tmp_path / f"preload_{name}.py").write_text(text.replace("good", "preload_good"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    yield
    process_context("forkserver", ())


def look_around(channel: Connection) -> None:
    """Tell which of the modules this child of the fork server has inherited."""
    assert preloading.NAMES not in os.environ
    inherited = sorted(name for name in sys.modules if name.startswith("preload_"))
    channel.send_bytes(encode(Checked(value=" ".join(inherited))))


def inherited() -> str:
    answer = ask_child(process_context("forkserver"), look_around, (), TIMEOUT_S)
    assert isinstance(answer, Checked)
    return answer.value


@pytest.mark.usefixtures("modules")
def test_workers_inherit_what_does_no_harm_and_the_rest_is_told() -> None:
    names = ["preload_good.VALUE", "preload_broken", "preload_threads", "preload_cuda_user", "preload_asks"]
    assert without_harm(names, TIMEOUT_S) == {
        "preload_broken": "cannot be imported: RuntimeError: not today",
        "preload_threads": "starts a thread when it is imported",
        "preload_cuda_user": "initialises CUDA when it is imported",
    }
    assert inherited() == "preload_asks preload_good"


@pytest.mark.usefixtures("modules")
def test_a_module_that_ends_the_fork_server_costs_the_preload_and_nothing_else() -> None:
    problems = without_harm(["preload_good", "preload_deadly"], TIMEOUT_S)
    assert set(problems) == {"preload_good", "preload_deadly"}
    assert "the fork server dies when it imports this module" in problems["preload_good"]
    assert inherited() == ""


def test_nothing_to_preload_starts_no_fork_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mps_experiments.workers.context.process_context", None)
    assert without_harm([], TIMEOUT_S) == {}


def test_a_process_that_never_asked_the_driver_has_not_initialised_cuda() -> None:
    assert not preloading.cuda_is_initialised()


GPU_MODULE = """\
import torch
import preload_asks

def build(device, options):
    assert preload_asks.FOUND[0], "asking before CUDA is initialised gets an answer"
    assert torch.cuda.device_count() == 1
    uuid = str(torch.cuda.get_device_properties(0).uuid)
    assert options["uuid"].endswith(uuid), uuid
    return torch.nn.Linear(4, 4).to(device), torch.ones(2, 4, device=device)
"""
DRIVER_USER = "import ctypes\nassert ctypes.CDLL('libcuda.so.1').cuInit(0) == 0\n"


@pytest.mark.gpu
@pytest.mark.usefixtures("modules")
def test_a_worker_sees_only_its_gpu_whatever_was_asked_in_the_fork_server(
    tmp_path: Path, make_specs: MakeSpecs
) -> None:
    (tmp_path / "preload_driver.py").write_text(DRIVER_USER)
    (tmp_path / "gpu_model.py").write_text(GPU_MODULE)
    problems = without_harm(["preload_asks", "preload_driver"], TIMEOUT_S)
    assert problems == {"preload_driver": "initialises CUDA when it is imported"}
    with open_probe() as probe:
        gpus = probe.gpus()
    for gpu in gpus:
        environment = {"CUDA_VISIBLE_DEVICES": gpu.uuid}
        specs = make_specs("small", device="cuda:0", environment=environment, options={"uuid": gpu.uuid})
        specs = [replace(each, workload=replace(each.workload, factory="gpu_model:build")) for each in specs]
        with pool_of(process_context("forkserver"), specs) as pool:
            pool.wait_ready(TIMEOUT_S)
