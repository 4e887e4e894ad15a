"""Import in the fork server, after torch, what the workers need, and note what went wrong.

A worker inherits the state that imports leave behind, but neither initialised CUDA nor threads survive a
fork. So the parent asks for a report before any worker exists, and starts a new fork server without the
modules that did harm.
"""

import contextlib
import ctypes
import os
import pkgutil
import sys
import threading
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from mps_experiments.errors import in_words
from mps_experiments.workers.keeper import begin_child
from mps_experiments.workers.messages import Preloaded, clipped, send

NAMES = "MPSX_PRELOAD"  # the variable that names the modules to a fork server
_CUDA_ERROR_NOT_INITIALIZED = 3  # cuda.h

problems: dict[str, str] = {}
spoilt = False


def report(channel: Connection) -> None:
    """Report to the parent how the preload went; runs in a child of the fork server."""
    begin_child()
    send(channel, Preloaded(problems=problems, spoilt=spoilt))


def _preload(names: Sequence[str]) -> None:
    """Import the modules, up to the first that spoils the process: later ones would be blamed for it."""
    global spoilt
    with _asking_the_driver_through_nvml(), _silent():
        for name in names:
            before = set(threading.enumerate())
            try:
                pkgutil.resolve_name(name)  # may name an attribute: some packages import lazily
            except BaseException as error:
                problems[name] = clipped(f"cannot be imported: {in_words(error)}")
            if cuda_is_initialised():
                problems[name] = "initialises CUDA when it is imported"
                spoilt = True
            elif set(threading.enumerate()) - before:
                problems[name] = "starts a thread when it is imported"
                spoilt = True
            if spoilt:
                return


def cuda_is_initialised() -> bool:
    """Tell whether anything in this process, torch or another library, has initialised the CUDA driver."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return True
    try:
        driver = ctypes.CDLL("libcuda.so.1", mode=os.RTLD_NOLOAD | os.RTLD_NOW)
    except OSError:  # nobody has loaded it
        return False
    return bool(driver.cuCtxGetCurrent(ctypes.byref(ctypes.c_void_p())) != _CUDA_ERROR_NOT_INITIALIZED)


@contextlib.contextmanager
def _asking_the_driver_through_nvml() -> Iterator[None]:
    """Keep torch.cuda.is_available(), which many packages call at import, from initialising CUDA."""
    name = "PYTORCH_NVML_BASED_CUDA_CHECK"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep packages from printing to the user's terminal while they are imported."""
    kept = [(number, os.dup(number)) for number in (1, 2)]
    with Path(os.devnull).open("w") as nowhere:
        for number, _ in kept:
            os.dup2(nowhere.fileno(), number)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in kept:
            os.dup2(copy, number)
            os.close(copy)


if _asked_for := os.environ.pop(NAMES, ""):  # in the fork server only: no child inherits it
    _preload(_asked_for.split(","))
