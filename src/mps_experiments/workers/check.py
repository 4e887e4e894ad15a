"""Check a workload in a child process before any run: device, model name, weights, their fit, the factory.

The parent cannot do it: it never imports torch and never runs the user's code.
"""

import difflib
import os
import warnings
from collections.abc import Mapping
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path

from mps_experiments.errors import ConfigError, RunError, in_words
from mps_experiments.machine.cell_variables import take_on
from mps_experiments.record.workload import WorkloadSpec
from mps_experiments.workers.context import ask_child
from mps_experiments.workers.keeper import begin_child, print_into
from mps_experiments.workers.messages import Checked, clipped, send
from mps_experiments.workloads.factory import import_factory, refuse_signature
from mps_experiments.workloads.files import file_sha256


def check_workload(
    context: ForkServerContext | SpawnContext,
    spec: WorkloadSpec,
    on_gpu: bool,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
) -> Checked:
    """Have a child process check the workload, and return what it found out about the weights file.

    Args:
        context: Starts the child.
        spec: The workload.
        on_gpu: True if torch must find a GPU.
        timeout_s: Seconds for the whole check.
        environment: Variables that a worker sets before its first CUDA call; None hides every GPU. Only a
            factory's own import puts anything on it.

    Raises:
        ConfigError: If the workload cannot work, or the check did not end in time.
    """
    variables = {"CUDA_VISIBLE_DEVICES": ""} if environment is None else dict(environment)
    try:
        result = ask_child(context, _check_main, (spec, on_gpu, variables), timeout_s)
    except (TimeoutError, EOFError, RunError) as error:
        what = f"the check failed: {error}"
        if isinstance(error, TimeoutError):
            what = f"could not be checked in {timeout_s:g} s"
        elif isinstance(error, EOFError):
            what = f"the process that checks it ended: {error}"
        option = "workload.model" if spec.factory is None else "workload.factory"
        raise ConfigError(option, spec.model, what) from error
    assert isinstance(result, Checked)  # noqa: S101 - a check sends nothing else
    if result.expected is not None:
        raise ConfigError(result.option, result.value, result.expected)
    return result


def _check_main(
    spec: WorkloadSpec, on_gpu: bool, environment: Mapping[str, str], channel: Connection
) -> None:
    begin_child()
    take_on(os.environ, environment)
    print_into(os.devnull)
    try:
        checked = _check(spec, on_gpu)
    except ConfigError as error:
        value, expected = str(error.value), clipped(error.expected)
        checked = Checked(option=error.option, value=value, expected=expected)
    send(channel, checked)
    os._exit(0)  # a thread or exit handler of the user's code may never end


def _check(spec: WorkloadSpec, on_gpu: bool) -> Checked:
    try:
        import torch

        if spec.factory is None:
            # Torchvision fails at import beside a torch that it was not built for.
            from mps_experiments.workloads.networks import build_network
            from mps_experiments.workloads.vision import supported_models
    except Exception as error:  # what a broken installation raises is anything from OSError to RuntimeError
        what = f"torch cannot be used ({in_words(error)}); install torch and torchvision together"
        raise ConfigError("workload.model", spec.model, what) from error
    if on_gpu and (problem := _problem_with_cuda()):
        raise ConfigError("device", "cuda", f"{problem}; device=cpu works")
    if spec.factory is not None:
        factory = import_factory(spec.factory, spec.import_path)
        refuse_signature(factory, spec.factory, spec.batch)
        return Checked()
    models = supported_models()
    if spec.model not in models:
        close = difflib.get_close_matches(spec.model, models, n=3) or ["maskrcnn_resnet50_fpn", "resnet50"]
        what = "not a torchvision detection, classification or segmentation model"
        raise ConfigError("workload.model", spec.model, f"{what}; try {', '.join(close)}")
    if spec.weights == "random" and spec.norm_layer == "auto":
        return Checked()
    # On the CPU torchvision downloads its weights, once for all workers; other checks need no memory.
    device = "meta" if spec.weights == "random" or spec.weights_file else "cpu"
    try:
        loaded = build_network(spec, torch.device(device)).loaded
        digest = file_sha256(Path(spec.weights_file)) if spec.weights_file else None
    except ConfigError:
        raise
    except Exception as error:  # a failed download raises anything from URLError to RuntimeError
        reason = " ".join(str(error).split())[:300]
        raise ConfigError("workload.weights", spec.weights, f"{reason}; random always works") from error
    remark = f"workload.weights={spec.weights}: {loaded}" if loaded else ""
    return Checked(weights_file_sha256=digest, remark=remark)


def _problem_with_cuda() -> str:
    """Tell why torch finds no GPU; empty if it finds one. Makes no context on it."""
    import torch

    if torch.version.cuda is None:
        return "this torch is built without CUDA"
    with warnings.catch_warnings(record=True) as said:  # such as that the driver is too old for it
        warnings.simplefilter("always")
        if torch.cuda.is_available():
            return ""
    why = " ".join(" ".join(str(each.message).split()) for each in said)
    return f"torch, built with CUDA {torch.version.cuda}, finds no GPU ({why or 'see `nvidia-smi`'})"
