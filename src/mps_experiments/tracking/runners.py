"""Who logs a run: a tag by which a later program sees whether that runner is still alive."""

import socket

import psutil


def this_runner() -> str:
    """This process, as its tag."""
    process = psutil.Process()
    return f"{socket.gethostname()}:{process.pid}:{process.create_time():.2f}"


def is_alive(runner: str) -> bool:
    """Whether the process of such a tag runs; True for another host's, which cannot be seen from here."""
    host, pid, started = runner.rsplit(":", 2)
    if host != socket.gethostname():  # LIKE takes an underscore in a name for any character
        return True
    try:
        return abs(psutil.Process(int(pid)).create_time() - float(started)) < 1.0
    except (psutil.Error, ValueError):
        return False
