"""A stand-in for ``nvidia-cuda-mps-control``: the dialogue that was observed with driver 580 on an H100.

A client attaches by connecting to the socket ``control`` with the line ``attach PID``, and is attached while
that connection is open. Every other line is a command. Misbehaviour is asked for in FAKE_MPS:

    slow_start=S   nothing is there for S seconds      exit=N         the daemon ends at once with code N
    silent         accepts commands, never answers     refuse         every command is refused
    ignore_quit    quit changes nothing                ignore_term    SIGTERM changes nothing
    drop_clients   clients are served but not listed   status=WORD    the state that servers are in
    forget_status  no server is known by its pid       stale_pid      the pid file names another process
    version=N      the version that is logged           max_clients=N  a server takes no more clients
    no_version     no version is logged
"""

import contextlib
import fcntl
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.fakes.mps_log import faults, log

MAX_SOCKET_PATH_BYTES = 106
LOOK_S = 0.02


def main() -> int:
    """With ``-f`` or ``-d`` the daemon, else a client that reads commands from standard input."""
    directory = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps"))
    if not sys.argv[1:]:
        return ask(directory)
    if len(os.fsencode(directory / "control_privileged")) > MAX_SOCKET_PATH_BYTES:
        return 1
    return Daemon(directory).run(daemonise=sys.argv[1] == "-d")


def ask(directory: Path) -> int:
    """Send each line of standard input to the daemon, print its answers."""
    if "refuse" in faults():
        sys.stderr.write("Permission denied\n")
        return 1
    for line in sys.stdin:
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(str(directory / "control"))
            except OSError:
                sys.stderr.write("Cannot find MPS control daemon process\n")
                return 1
            connection.sendall(line.encode())
            with connection.makefile() as answer:
                sys.stdout.write(answer.read())
    return 0


class Daemon:
    """The control daemon of one pipe directory."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.faults = directory, faults()
        self.selector = selectors.DefaultSelector()
        self.clients: dict[socket.socket, int] = {}
        self.server: subprocess.Popen[str] | None = None
        self.quit_at: float | None = None

    def run(self, daemonise: bool) -> int:
        """Serve until told to quit."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        if "ignore_term" in self.faults:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if "exit" in self.faults:
            log("Control", "Failed to start : device is unavailable")
            return int(self.faults["exit"])
        time.sleep(float(self.faults.get("slow_start", 0)))
        self.directory.mkdir(exist_ok=True)
        lock = (self.directory / "control_lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.stdout.write("An instance of this daemon is already running\n")
            return 1
        listeners = [self.listen("control"), self.listen("control_privileged")]
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self.directory / "log")
        if daemonise:
            go_to_background()
        pid = 1 if "stale_pid" in self.faults else os.getpid()
        pid_file = self.directory / "nvidia-cuda-mps-control.pid"
        pid_file.write_text(str(pid))
        log("Control", f"Starting control daemon using socket {self.directory}/control")
        if "no_version" not in self.faults:
            log("Control", f"CUDA MPS Control binary version: {self.faults.get('version', '13000')}")
        for listener in listeners:
            self.selector.register(listener, selectors.EVENT_READ, self.accept)
        self.serve()
        pid_file.unlink()
        log("Control", "Exit")
        return 0

    def listen(self, name: str) -> socket.socket:
        path = self.directory / name
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(64)
        return listener

    def serve(self) -> None:
        while self.quit_at is None or (self.clients and time.monotonic() < self.quit_at):
            for key, _ in self.selector.select(LOOK_S):
                key.data(key.fileobj)
            if self.server is not None and self.server.poll() is not None:
                log("Control", f"Server {self.server.pid} exited with status {self.server.returncode}")
                self.server = None
                for client in list(self.clients):
                    self.leave(client)
        if self.server is not None:
            self.tell("quit")
            self.server.wait()
            log("Control", f"Server {self.server.pid} exited with status {self.server.returncode}")

    def accept(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        log("Control", "Accepting connection...")
        self.selector.register(connection, selectors.EVENT_READ, self.read)

    def read(self, connection: socket.socket) -> None:
        line = connection.recv(4096).decode()
        if not line:
            self.leave(connection)
            return
        word, _, rest = line.strip().partition(" ")
        if word == "attach":
            self.attach(connection, int(rest))
        elif "silent" not in self.faults:
            connection.sendall(self.answer(word, rest).encode())
            self.leave(connection)

    def attach(self, connection: socket.socket, pid: int) -> None:
        if self.server is None:
            self.server = start_server()
            log("Control", f"Starting new server {self.server.pid} for user {os.getuid()}")
        if len(self.clients) >= int(self.faults.get("max_clients", 48)):
            self.tell(f"refused {pid}")
            connection.sendall(b"busy\n")
            self.leave(connection)
            return
        log("Control", f"NEW CLIENT {pid} from user {os.getuid()}: Server already exists")
        if "drop_clients" not in self.faults:
            self.clients[connection] = pid
        self.tell(f"connected {pid}")
        connection.sendall(b"attached\n")

    def leave(self, connection: socket.socket) -> None:
        self.selector.unregister(connection)
        connection.close()
        if pid := self.clients.pop(connection, None):
            self.tell(f"disconnected {pid}")

    def tell(self, words: str) -> None:
        if self.server is not None and self.server.stdin is not None:
            with contextlib.suppress(OSError):
                self.server.stdin.write(words + "\n")
                self.server.stdin.flush()

    def answer(self, word: str, rest: str) -> str:
        known = "" if self.server is None or "forget_status" in self.faults else str(self.server.pid)
        match word:
            case "get_server_list":
                return f"{self.server.pid}\n" if self.server else ""
            case "ps":
                return self.table() if self.server else "Server not found\n"
            case "get_client_list":
                lines = "".join(f"{pid}\n" for pid in self.clients.values())
                return lines if rest == known else f"Server {rest} not found\n"
            case "get_server_status":
                status = self.faults.get("status", "ACTIVE")
                return f"{status}\n" if rest == known else f"Server {rest} not found\n"
            case "terminate_client":
                server, _, pid = rest.partition(" ")
                return self.terminate(pid) if server == known else f"Server {server} not found\n1\n"
            case "quit":
                if "ignore_quit" not in self.faults:
                    self.quit_at = time.monotonic() + float(rest.removeprefix("-t ") or 0)
                return ""
        return f'Unknown command "{word}"\n'

    def terminate(self, pid: str) -> str:
        found = [connection for connection, client in self.clients.items() if str(client) == pid]
        for connection in found:
            self.leave(connection)
        return "0\n" if found else "201\n"

    def table(self) -> str:
        if not self.clients or self.server is None:
            return ""
        device = os.environ.get("CUDA_VISIBLE_DEVICES", "GPU-00000000-0000-0000")[:22]
        rows = [("PID", "ID", "SERVER", "DEVICE", "NAMESPACE", "COMMAND")]
        for number, pid in enumerate(self.clients.values(), 1):
            command = command_of(pid)
            rows.append((str(pid), str(number), str(self.server.pid), device, "4026531836", command))
        return "".join(f"{a:<10}{b:<10}{c:<15}{d:<26}{e:<15}{f:<15}\n" for a, b, c, d, e, f in rows)


def start_server() -> subprocess.Popen[str]:
    """Return once the server runs as such: until then it is the interpreter that looks for its script."""
    program = Path(sys.argv[0]).with_name("nvidia-cuda-mps-server")
    is_up, says_so = os.pipe()
    server = subprocess.Popen([program, str(says_so)], stdin=subprocess.PIPE, text=True, pass_fds=[says_so])
    os.close(says_so)
    os.read(is_up, 1)  # or its end
    os.close(is_up)
    return server


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0] or "-"
    except OSError:  # it has just died
        return "-"


def go_to_background() -> None:
    """Fork twice, so that nobody waits for the daemon; its lines go to the log directory."""
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    logs = Path(os.environ.get("CUDA_MPS_LOG_DIRECTORY", "/var/log/nvidia-mps"))
    logs.mkdir(exist_ok=True)
    output = os.open(logs / "control.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
