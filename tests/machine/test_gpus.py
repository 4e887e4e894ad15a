"""The GPUs of the machine: a list in tests, NVML for real."""

import os
import subprocess

import pytest

from mps_experiments.machine.gpus import FixedProbe, _multiprocessors, open_probe
from mps_experiments.record.machine import Gpu, GpuProcess
from tests.conftest import run_python

GPU = Gpu(index=0, uuid="GPU-1", name="NVIDIA H100", memory_total_bytes=80 * 10**9)


def run(code: str, **environment: str) -> str:
    """Run code in a fresh process: other tests may have used the GPU in this one."""
    done = run_python("-c", code, environment=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_fixed_probe_answers_from_its_list() -> None:
    probe = FixedProbe((GPU,), (GpuProcess(pid=7, memory_bytes=None),))
    assert probe.gpus() == (GPU,)
    assert [process.pid for process in probe.compute_processes(GPU.uuid)] == [7]
    assert probe.mps_pids(GPU.uuid) is None
    assert probe.driver_version()
    assert (FixedProbe().driver_version(), FixedProbe().cuda_driver_version()) == (None, None)


def test_without_nvml_there_are_no_gpus_and_no_error() -> None:
    """The process cannot find libnvidia-ml, even if a driver is installed."""
    run(
        "import ctypes\n"
        "def no_library(*_, **__): raise OSError('not here')\n"
        "ctypes.CDLL = no_library\n"
        "from mps_experiments.machine.gpus import open_probe\n"
        "with open_probe() as probe:\n"
        "    assert probe.gpus() == () and probe.driver_version() is None\n"
    )


@pytest.mark.parametrize(
    ("cores", "capability", "multiprocessors"),
    [
        (16896, (9, 0), 132),
        (6912, (8, 0), 108),
        (10752, (8, 6), 84),
        (16896, (99, 0), None),
        (16896, None, None),
    ],
)
def test_multiprocessors_follow_from_the_cores_where_the_capability_is_known(
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    capability: tuple[int, int] | None,
    multiprocessors: int | None,
) -> None:
    monkeypatch.setattr("pynvml.nvmlDeviceGetNumGpuCores", lambda _: cores)
    assert _multiprocessors(object(), capability) == multiprocessors


@pytest.mark.gpu
def test_nvml_lists_the_gpus_of_this_machine() -> None:
    query = ["nvidia-smi", "--query-gpu=uuid,name", "--format=csv,noheader"]
    listed = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    with open_probe() as probe:
        gpus, driver, cuda = probe.gpus(), probe.driver_version(), probe.cuda_driver_version()
    assert [f"{gpu.uuid}, {gpu.name}" for gpu in gpus] == listed.splitlines()
    assert [gpu.index for gpu in gpus] == list(range(len(gpus)))
    for gpu in gpus:
        assert gpu.memory_total_bytes > 10**9
        assert gpu.compute_capability.count(".") == 1
        assert set(gpu.local_cores) <= set(range(os.cpu_count() or 1))
    assert float((driver or "0").split(".")[0]) > 400
    assert float(cuda or "0") >= 11


@pytest.mark.gpu
def test_the_multiprocessors_of_the_gpu_are_those_that_torch_sees() -> None:
    with open_probe() as probe:
        gpu = probe.gpus()[0]
    seen = run(
        "import torch; print(torch.cuda.get_device_properties(0).multi_processor_count)",
        CUDA_VISIBLE_DEVICES=gpu.uuid,
        CUDA_MPS_PIPE_DIRECTORY="/nonexistent",
    )
    assert gpu.multiprocessors == int(seen)


@pytest.mark.gpu
def test_to_look_at_the_gpus_is_not_to_be_on_one() -> None:
    run(
        "import os\n"
        "from mps_experiments.machine.gpus import open_probe\n"
        "with open_probe() as probe:\n"
        "    seen = [each.pid for gpu in probe.gpus() for each in probe.compute_processes(gpu.uuid)]\n"
        "assert os.getpid() not in seen\n"
    )
