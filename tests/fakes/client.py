"""A client of the stand-in for MPS; imports no torch."""

import os
import socket
from typing import Self

PIPE_DIRECTORY = "CUDA_MPS_PIPE_DIRECTORY"


class Attachment:
    """A connection that is open as long as the process lives, or none."""

    def __init__(self) -> None:
        folder = os.environ.get(PIPE_DIRECTORY, "/tmp/nvidia-mps")
        self._socket: socket.socket | None = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(f"{folder}/control")
            self._socket.sendall(f"attach {os.getpid()}\n".encode())
            answer = self._socket.recv(100)
            if answer == b"busy\n":
                raise RuntimeError("CUDA error: CUDA-capable device(s) is/are busy or unavailable")
            self.is_on = answer == b"attached\n"
            self._socket.setblocking(False)
        except OSError:
            self._socket, self.is_on = None, False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.close()

    def check(self) -> None:
        """Fail as a CUDA call does once the server is gone."""
        if self._socket is None:
            return
        try:
            lost = self._socket.recv(1) == b""
        except BlockingIOError:
            return
        if lost:
            raise RuntimeError("CUDA error: the remote procedural call to the MPS server failed")
