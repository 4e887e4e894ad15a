"""A stand-in for ``nvidia-cuda-mps-server``: logs what the daemon tells it, ends when the daemon does.

Its argument is the descriptor that it closes once it is up.

Misbehaviour in FAKE_MPS: ``server_stays`` (it outlives its daemon), ``ignore_term``.
"""

import os
import signal
import sys

from tests.fakes.mps_log import faults, log


def main() -> int:
    """Follow the daemon's words on standard input until they end."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if "ignore_term" in faults():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.close(int(sys.argv[1]))
    log("Server", "Creating server context on device 0 (NVIDIA H100 80GB HBM3)")
    for line in sys.stdin:
        word, _, pid = line.strip().partition(" ")
        if word == "connected":
            log("Server", f"Client {{PID: {pid}, Context ID: 0}} connected")
        elif word == "disconnected":
            log("Server", f"Client {{PID: {pid}, Context ID: 0}} disconnected")
        elif word == "refused":  # how the real one words this is not known here
            log("Server", f"Client limit reached, client {{PID: {pid}}} refused")
        else:
            log("Server", "Received command to shut down")
            return 0
    while "server_stays" in faults():
        signal.pause()
    return 1
