"""Findings about torch and torchvision, asked of a child process: the parent never imports torch."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from mps_experiments.doctor.finding import Finding, fail, ok
from mps_experiments.machine.cell_variables import passed_on
from mps_experiments.machine.gpus import Gpu
from mps_experiments.mps.control import PIPE_DIRECTORY
from mps_experiments.mps.folders import parent_folder

_INSTALL = "install plain `torch torchvision` together, in the releases that belong together"
_LAST_CHARACTERS = 300

# Neither is_available nor get_arch_list makes a CUDA context.
_QUESTION = """
import json, sys, warnings
answer = {}
try:
    import torch
    answer["torch"], answer["cuda"] = str(torch.__version__), torch.version.cuda
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        answer["available"] = torch.cuda.is_available()
        answer["architectures"] = torch.cuda.get_arch_list()
    answer["said"] = " ".join(str(each.message) for each in said)
    try:
        import torchvision
        answer["torchvision"] = str(torchvision.__version__)
        torchvision.ops.nms(torch.zeros(0, 4), torch.zeros(0), 0.5)
    except Exception as error:
        answer["torchvision_problem"] = f"{type(error).__name__}: {error}"
except Exception as error:
    answer["problem"] = f"{type(error).__name__}: {error}"
sys.stdout.write("\\n" + json.dumps(answer) + "\\n")
"""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the child said.

    Attributes:
        cuda: The CUDA that torch was built with; None for a build without.
        available: Whether CUDA can be used.
        architectures: What torch's kernels were compiled for, such as ``sm_90``; empty without a GPU.
        said: Torch's own warnings, such as that the driver is too old.
        problem: Why torch cannot be imported; empty if it can.
    """

    torch: str = ""
    cuda: str | None = None
    available: bool = False
    architectures: tuple[str, ...] = ()
    said: str = ""
    torchvision: str = ""
    torchvision_problem: str = ""
    problem: str = ""


def torch_findings(gpu: Gpu | None, driver_cuda: str | None, timeout_s: float) -> Iterator[Finding]:
    """Ask, and judge the answer for this GPU.

    Args:
        gpu: The one in use; None on the CPU.
        driver_cuda: The newest CUDA that the driver supports.
        timeout_s: Seconds for the child, which imports torch.
    """
    try:
        answer = ask(gpu, timeout_s)
    except subprocess.TimeoutExpired:
        yield fail(
            "torch", f"could not be imported within {timeout_s:g} s", "--torch-timeout-s=600 waits longer"
        )
        return
    yield from judge(answer, gpu, driver_cuda)


def ask(gpu: Gpu | None, timeout_s: float) -> Answer:
    """What a child process says; it sees one GPU or none, and no MPS daemon.

    Raises:
        subprocess.TimeoutExpired: If it is late; it was killed.
        OSError: If it cannot be started.
    """
    with tempfile.TemporaryDirectory(prefix="mpsx-doctor-", dir=parent_folder()) as private:
        empty, temporary = Path(private, "pipe"), Path(private, "tmp")  # torchvision's import makes a folder
        empty.mkdir(mode=0o700)
        temporary.mkdir()
        done = subprocess.run(
            [sys.executable, "-B", "-c", _QUESTION],
            env=passed_on(os.environ, _variables(gpu, empty, temporary)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    lines = done.stdout.decode(errors="replace").strip().splitlines()
    try:
        return TypeAdapter(Answer).validate_json(lines[-1] if lines else "")
    except ValidationError:
        return Answer(problem=_how_it_ended(done.returncode, done.stderr.decode(errors="replace")))


def _variables(gpu: Gpu | None, pipe_dir: Path, temporary: Path) -> dict[str, str]:
    visible = gpu.uuid if gpu else ""
    return {PIPE_DIRECTORY: str(pipe_dir), "TMPDIR": str(temporary), "CUDA_VISIBLE_DEVICES": visible}


def _how_it_ended(code: int, errors: str) -> str:
    name = signal.Signals(-code).name if -code in list(signal.Signals) else f"exit code {code}"
    return f"the import ended with {name}: {' '.join(errors.split())[-_LAST_CHARACTERS:] or 'no message'}"


def judge(answer: Answer, gpu: Gpu | None, driver_cuda: str | None) -> Iterator[Finding]:
    """What the answer means for this GPU."""
    if answer.problem:
        yield fail("torch", answer.problem, _INSTALL)
        return
    yield ok(
        "torch", f"{answer.torch}, {f'built with CUDA {answer.cuda}' if answer.cuda else 'without CUDA'}"
    )
    if answer.torchvision_problem:
        version = (
            f"{answer.torchvision} does not fit torch {answer.torch}" if answer.torchvision else "not there"
        )
        yield fail("torchvision", f"{version} ({answer.torchvision_problem})", _INSTALL)
    else:
        yield ok("torchvision", f"{answer.torchvision}, its operators load")
    if gpu is not None:
        yield cuda_finding(answer, gpu, driver_cuda)


def cuda_finding(answer: Answer, gpu: Gpu, driver_cuda: str | None) -> Finding:
    """Whether torch's CUDA, the driver and the GPU fit together."""
    if answer.cuda is None:
        return fail("torch and CUDA", f"torch {answer.torch} is built without CUDA", _INSTALL)
    fits = f"torch's CUDA {answer.cuda}, the driver's {driver_cuda or 'unknown'}"
    if driver_cuda and _major(driver_cuda) < _major(answer.cuda):
        todo = f"update the driver, or install a torch built with CUDA {driver_cuda} or older"
        return fail("torch and CUDA", f"the driver is too old: {fits}", todo)
    if not answer.available:
        todo = "run `nvidia-smi`, and see CUDA_VISIBLE_DEVICES; after an update of the driver restart"
        return fail("torch and CUDA", f"torch finds no CUDA: {answer.said or fits}", todo)
    if gpu.compute_capability and not runs_on(answer.architectures, gpu.compute_capability):
        has = ", ".join(answer.architectures) or "none"
        found = f"torch has no kernels for {gpu.name} ({gpu.compute_capability}), only {has}"
        return fail("torch and CUDA", found, "install a torch release that supports this GPU")
    return ok("torch and CUDA", fits)


def runs_on(architectures: tuple[str, ...], capability: str) -> bool:
    """Whether kernels run on a GPU: binaries within a major version, upwards; PTX on whatever is newer.

    https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#binary-compatibility

    >>> runs_on(("sm_80", "sm_90"), "8.6"), runs_on(("sm_80",), "7.5"), runs_on(("compute_80",), "9.0")
    (True, False, True)
    """
    major, minor = map(int, capability.split("."))
    for name in architectures:
        kind, _, digits = name.rstrip("af").partition("_")  # sm_90a, sm_100f
        if not digits.isdecimal():
            continue
        of_major, of_minor = divmod(int(digits), 10)
        same_binary = kind == "sm" and of_major == major and of_minor <= minor
        if same_binary or (kind == "compute" and (of_major, of_minor) <= (major, minor)):
            return True
    return False


def _major(version: str) -> int:
    return int(version.split(".")[0])
