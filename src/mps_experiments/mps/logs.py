"""Read the logs of a daemon and its servers; the wording is the driver's."""

import re

# From CUDA 13.1 on, a server takes more clients: https://docs.nvidia.com/deploy/mps/when-to-use-mps.html
_EARLIER_LIMIT, _LIMIT = 48, 60
_MORE_FROM = (13, 1)
_BUSY = "busy or unavailable"
_REFUSED = re.compile(
    r"\b(max|limit|exceed|too many)\w*\b.*\b(client|connection|context)"
    r"|\b(client|connection|context)s?\b.*\b(max|limit|exceed|too many)",
    re.IGNORECASE,
)


def control_version(control_log: str) -> tuple[int, int] | None:
    """Return the version (major, minor) that the control daemon logs; None if it logs none.

    >>> control_version("CUDA MPS Control binary version: 13010")
    (13, 1)
    """
    found = re.search(r"binary version: (\d{2,3})(\d{2})\d\b", control_log, re.IGNORECASE)
    return (int(found[1]), int(found[2])) if found else None


def cuda_version(text: str | None) -> tuple[int, int] | None:
    """Parse a CUDA version such as ``13.0`` into (major, minor); None for anything else."""
    found = re.fullmatch(r"(\d+)\.(\d+)", text or "")
    return (int(found[1]), int(found[2])) if found else None


def client_limit(version: tuple[int, int] | None) -> int:
    """Return how many clients a server of this version takes; for an unknown version, the most of any."""
    return _LIMIT if version is None or version >= _MORE_FROM else _EARLIER_LIMIT


def started_servers(log: str) -> tuple[int, ...]:
    """List the process ids of the servers that a daemon has started so far."""
    return tuple(int(pid) for pid in re.findall(r"Starting new server (\d+)", log))


def line_about_exit(control_log: str, server_pid: int) -> str | None:
    """Find the line in which the daemon says how a server ended; None if there is none."""
    found = re.search(rf"^.*\bServer {server_pid} exited\b.*$", control_log, re.MULTILINE)
    return found[0].strip() if found else None


def why_refused(error: str, log: str, worker_count: int) -> str | None:
    """Tell that a server refused a worker because it was full; CUDA's own error does not name the cause.

    Args:
        error: The CUDA error of the worker.
        log: Log of the daemon and its servers.
        worker_count: Number of clients of the run.

    Returns:
        The reason in words; None without evidence for it.
    """
    if _BUSY not in error:
        return None
    line = next((each.strip() for each in log.splitlines() if _REFUSED.search(each)), None)
    if line is not None:
        return f"the MPS server takes no more clients ({line})"
    if worker_count > _EARLIER_LIMIT:
        return (
            f"an MPS server takes {_EARLIER_LIMIT} clients ({_LIMIT} from CUDA 13.1 on), "
            f"and this run needs {worker_count}"
        )
    return None
