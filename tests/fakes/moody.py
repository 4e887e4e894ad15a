"""A tiny workload of the user's own that fails, prints, or kills a bystander when told to by its options."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def build(device: object, options: dict[str, Any]) -> tuple[Callable[[int], int], int]:
    """A model that counts, and what it starts from.

    Args:
        device: Not used.
        options: ``sleep_s`` per iteration; ``fail_if`` a path that exists; ``say`` a text; ``touch`` a path
            to create in an iteration; ``turnstile`` a folder that lets the first ``admits`` workers pass and
            the others once ``closed`` in it is gone; ``torch`` to compute with it; ``kill`` a file with the
            pid of a process group to end.
    """
    if "fail_if" in options and Path(options["fail_if"]).exists():
        raise RuntimeError("told to fail")

    def model(value: int) -> int:
        if "say" in options:
            sys.stdout.write(f"{options['say']}\n")
        if "touch" in options:
            Path(options["touch"]).touch()
        if options.get("torch"):
            _compute()
        if "turnstile" in options:
            _pass(Path(options["turnstile"]), options["admits"])
        if "kill" in options and (pid_file := Path(options["kill"])).exists():
            os.killpg(int(pid_file.read_text()), signal.SIGKILL)
            pid_file.unlink()
        time.sleep(options.get("sleep_s", 0.0))
        return value + 1

    return model, 0


def _compute() -> None:
    """Operations that a traced pass sees."""
    import torch

    torch.ones(64, 64) @ torch.ones(64, 64)


def _pass(turnstile: Path, admits: int) -> None:
    """Return at once if this process is among the first, else when the turnstile is opened."""
    (turnstile / str(os.getpid())).touch()
    while len(list(turnstile.iterdir())) > admits + 1 and (turnstile / "closed").exists():
        time.sleep(0.01)
