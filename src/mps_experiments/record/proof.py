"""Who was attached to MPS while a run was measured, as data; mps.attachment looks and concludes."""

from dataclasses import dataclass

from mps_experiments.record.machine import GpuProcess


@dataclass(frozen=True, kw_only=True)
class ForeignDaemon:
    """A daemon that we did not start. We ask it for its clients and never touch it.

    Attributes:
        pid: Process id; None if it answers but runs in another pid namespace.
        pipe_dir: Pipe directory; None if it is unknown.
        client_pids: Process ids of its clients; None if it did not answer.
        gpu_uuids: The GPUs that it serves; None if it serves all or this is unknown.
    """

    pid: int | None
    pipe_dir: str | None
    client_pids: tuple[int, ...] | None
    gpu_uuids: tuple[str, ...] | None = None

    def may_serve(self, gpu_uuid: str) -> bool:
        """Return whether it serves this GPU, as far as is known."""
        return self.gpu_uuids is None or gpu_uuid in self.gpu_uuids


@dataclass(frozen=True, kw_only=True)
class Observation:
    """Who was attached at one moment.

    Attributes:
        from_ns: Start of the look, nanoseconds of the system-wide monotonic clock.
        to_ns: End of the look, on the same clock.
        server_status: Status of each of our servers by pid; empty when off or before the first client.
        client_pids: Clients of our servers.
        nvml_mps_pids: Processes that NVML lists as MPS clients; None if NVML cannot tell.
        gpu_processes: Every process that NVML lists on the GPU, ours included.
        no_answer: Why our own daemon did not answer; None if it did.
        descendant_pids: Descendants of the workers; empty in early records.
    """

    from_ns: int
    to_ns: int
    server_status: dict[int, str]
    client_pids: tuple[int, ...]
    nvml_mps_pids: tuple[int, ...] | None
    foreign_daemons: tuple[ForeignDaemon, ...]
    gpu_processes: tuple[GpuProcess, ...] = ()
    no_answer: str | None = None
    descendant_pids: tuple[int, ...] = ()

    def descendants_on_gpu(self) -> set[int]:
        """Return the workers' descendants that NVML lists on the GPU or a daemon lists as clients."""
        listed = {process.pid for process in self.gpu_processes} | set(self.nvml_mps_pids or ())
        clients = set(self.client_pids).union(*(each.client_pids or () for each in self.foreign_daemons))
        return (listed | clients) & set(self.descendant_pids)


@dataclass(frozen=True, kw_only=True)
class Proof:
    """The conclusion from the observations of one run.

    Attributes:
        expected: ``on`` or ``off``.
        worker_pids: Process ids by rank.
        observations: In order of time.
        method: ``during``: seen inside the window that all workers share. ``bracketed``: the window was too
            short, so the same was seen just before and just after it, with the workers held. ``before``: seen
            before the start only, since a fault came too early. None if there is no proof.
        failure: Why the claim does not hold; None if it does.
    """

    expected: str
    worker_pids: tuple[int, ...]
    observations: tuple[Observation, ...]
    method: str | None
    failure: str | None
