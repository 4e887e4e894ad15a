"""The device that `device=...` names."""

import pytest

from mps_experiments.errors import ConfigError
from mps_experiments.machine.device import resolve_device
from mps_experiments.machine.gpus import FixedProbe
from mps_experiments.record.machine import Gpu

A = Gpu(index=0, uuid="GPU-aaaa-1", name="NVIDIA H100", memory_total_bytes=80 * 10**9)
B = Gpu(index=1, uuid="GPU-bbbb-2", name="NVIDIA H100", memory_total_bytes=80 * 10**9)
C = Gpu(index=2, uuid="GPU-bbbb-3", name="NVIDIA H100", memory_total_bytes=80 * 10**9)
THREE = FixedProbe((A, B, C))
NONE = FixedProbe()


@pytest.mark.parametrize(
    ("value", "gpu"),
    [
        ("auto", A),
        ("cuda", A),
        ("cuda:0", A),
        ("cuda:2", C),
        ("GPU-bbbb-2", B),
        ("GPU-a", A),
        ("cpu", None),
    ],
)
def test_a_device_is_named_in_several_ways(value: str, gpu: Gpu | None) -> None:
    device = resolve_device(value, THREE, {})
    assert device.gpu == gpu
    assert device.is_cpu == (gpu is None)
    assert device.torch_device == ("cpu" if gpu is None else "cuda:0")


@pytest.mark.parametrize(
    ("visible", "value", "gpu"),
    [
        ("2,0", "auto", C),
        ("2,0", "cuda:1", A),
        ("GPU-bbbb-2", "cuda", B),
        (" 1 , GPU-aaaa-1 ", "cuda:1", A),
        ("1,9,0", "cuda", B),
        ("1", "GPU-bbbb", B),
        ("", "auto", None),
        ("-1", "auto", None),
        ("GPU-bbbb", "auto", None),
    ],
)
def test_cuda_visible_devices_chooses_and_orders_as_cuda_does(
    visible: str, value: str, gpu: Gpu | None
) -> None:
    assert resolve_device(value, THREE, {"CUDA_VISIBLE_DEVICES": visible}).gpu == gpu


@pytest.mark.parametrize("visible", ["1,9,0", "1,-1,0"])
def test_like_cuda_the_list_ends_at_its_first_bad_entry(visible: str) -> None:
    with pytest.raises(ConfigError, match=r"device=cuda:1: this machine has one visible NVIDIA GPU"):
        resolve_device("cuda:1", THREE, {"CUDA_VISIBLE_DEVICES": visible})


@pytest.mark.parametrize(
    ("value", "probe", "what"),
    [
        ("cuda", NONE, "this machine has no visible NVIDIA GPU"),
        ("cuda:0", NONE, "this machine has no visible NVIDIA GPU; device=cpu"),
        ("cuda:3", THREE, "this machine has 3 visible NVIDIA GPUs; device=cpu"),
        ("GPU-zzzz", NONE, "no such GPU; this machine has no visible NVIDIA GPU"),
        ("GPU-bbbb", THREE, "several GPUs begin with it; this machine has 3 visible NVIDIA GPUs: "),
        ("gpu", THREE, "not a device; give auto, cpu, cuda, cuda:N or a GPU UUID"),
        ("cuda:-1", THREE, "not a device"),
        ("", THREE, "not a device"),
    ],
)
def test_a_device_that_is_not_here_is_refused_in_one_line(value: str, probe: FixedProbe, what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_device(value, probe, {})
    assert (caught.value.option, caught.value.value) == ("device", value)
    assert caught.value.expected.startswith(what)
    assert "\n" not in str(caught.value)


def test_the_cpu_is_chosen_or_all_there_is() -> None:
    assert resolve_device("cpu", THREE, {}).chosen
    assert not resolve_device("auto", NONE, {}).chosen
