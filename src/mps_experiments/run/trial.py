"""Run one trial of a fault: wait for its moment, cause it, and watch what becomes of every worker."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from mps_experiments.errors import RunError
from mps_experiments.mps.daemon import MpsDaemon
from mps_experiments.mps.processes import kill_servers_of
from mps_experiments.record.faults import Fate, FaultTrial, Outcome
from mps_experiments.run.environment import Environment
from mps_experiments.run.fault_watch import NewClients, ServerWatch
from mps_experiments.run.plan import RunPlan
from mps_experiments.workers.pool import WorkerPool
from mps_experiments.workers.worker import Worker

# Over all attempts. A new server is there in a second; a minute means that none will come.
_NEW_CLIENT_TIMEOUT_S = 60.0
_POLL_S = 0.001  # short, to hit a worker in mid-iteration; the runner has a core of its own


class Trial:
    """The trial that a plan asks for. Build it before the release: it asks the daemon what the fault needs.

    Args:
        plan: A plan with a fault.
        pool: Its workers, ready but not released.
        environment: Their environment.
        cores: CPU cores for the client sent after the fault; empty leaves it unpinned.

    Raises:
        RunError: If the fault cannot be caused.
    """

    def __init__(
        self, plan: RunPlan, pool: WorkerPool, environment: Environment, cores: tuple[int, ...]
    ) -> None:
        assert plan.fault is not None  # noqa: S101
        self._fault, self._pool, self._daemon = plan.fault, pool, environment.daemon
        self._stall_timeout_s = plan.workers.stall_timeout_s
        self._victim = pool.workers[self._fault.worker]
        self._stalled: dict[int, Fate] = {}
        new_client = replace(
            self._victim.spec,
            rank=plan.worker_count,
            iterations=1,
            warmup_iterations=0,
            cpu_cores=cores,
            verbose=False,
            log_path=str(plan.paths.newcomer_log),
            misbehaviour=None,
        )
        self._new_clients = NewClients(
            lambda: replace(pool, specs=[new_client], workers=[]), environment.observe, _NEW_CLIENT_TIMEOUT_S
        )
        self._act = None if self._fault.is_in_worker else self._action()

    def run(self, tick_s: float, on_tick: Callable[[int], None]) -> FaultTrial:
        """Run the trial until every worker and the new client have come to an end.

        Args:
            tick_s: Seconds between two reports of the progress.
            on_tick: Called with the number of iterations finished by all workers.

        Raises:
            RunError: If something went wrong before the fault, or the fault could not be made to happen.
        """
        with ServerWatch(self._daemon.control if self._daemon else None) as watch, self._new_clients:
            self._wait_for_the_moment()
            injected_after = self._victim.finished_iterations()
            watch.look_closely()
            injected_ns = self._cause()
            self._outlast(injected_ns, tick_s, on_tick)
            self._new_clients.send()
            self._new_clients.wait()
        return FaultTrial(
            kind=self._fault.kind,
            worker=self._fault.worker,
            trial=self._fault.trial or 0,
            at=self._fault.at,
            injected_ns=injected_ns,
            injected_after=injected_after,
            fates=tuple(self._fate(worker) for worker in self._pool.workers),
            server_states=tuple(watch.states),
            newcomer=self._new_clients.newcomer,
        )

    def _action(self) -> Callable[[], object]:
        """Return what causes the fault at once; all questions to the daemon are asked here."""
        if self._fault.kind == "kill":
            return self._victim.kill
        daemon = self._daemon
        assert daemon is not None, "a cell that needs MPS is skipped without it"  # noqa: S101
        if self._fault.kind == "server_kill":
            return lambda: _kill_servers(daemon)
        if self._fault.kind == "daemon_kill":
            return daemon.kill
        pid = self._victim.pid
        servers = [client.server_pid for client in daemon.control.clients() if client.pid == pid]
        if not servers:
            raise RunError(f"worker process {pid} is not a client of our MPS server: it cannot be terminated")
        return lambda: daemon.control.terminate_client(servers[0], pid)

    def _is_due(self) -> bool:
        return bool(self._victim.boundaries_ns[self._fault.after_iterations])

    def _wait_for_the_moment(self) -> None:
        """Wait until the victim has done its iterations before the fault."""
        stalls = _Stalls(self._stall_timeout_s)
        while not self._is_due():
            ended = self._pool.listen(_at_work(self._pool.workers), _POLL_S)
            if ended and not self._is_due():
                raise ended[0]
            if stalls.found(0, self._finished_iterations()):
                raise RunError(f"before the fault {stalls.text}")

    def _cause(self) -> int:
        """Cause the fault, unless the worker does, and return its time in nanoseconds."""
        if self._act is None:
            return self._victim.boundaries_ns[self._fault.after_iterations]
        if self._victim.finished_iterations() == self._victim.spec.iterations:
            raise RunError(
                f"worker {self._fault.worker} did all of its iterations before the fault: increase times"
            )
        now = time.monotonic_ns()
        self._act()
        return now

    def _outlast(self, injected_ns: int, tick_s: float, on_tick: Callable[[int], None]) -> None:
        """Watch until every worker has finished, failed, died or stalled; send the new client meanwhile."""
        send_at_ns = injected_ns + round(self._fault.newcomer_after_s * 1e9)
        stalls = _Stalls(self._stall_timeout_s)
        while waiting := [w for w in _at_work(self._pool.workers) if not self._is_given_up(w)]:
            for worker in waiting:
                rank = worker.spec.rank
                if stalls.found(rank, worker.finished_iterations()):
                    self._stalled[rank] = Fate(
                        rank=rank, outcome=Outcome.STALLED, ended_ns=time.monotonic_ns(), text=stalls.text
                    )
            on_tick(self._finished_iterations())
            until_new_client_s = (send_at_ns - time.monotonic_ns()) / 1e9
            if until_new_client_s <= 0:
                self._new_clients.send()
                until_new_client_s = tick_s
            self._pool.listen(waiting, min(tick_s, until_new_client_s))

    def _is_given_up(self, worker: Worker) -> bool:
        """Tell if nothing is expected of this worker any more: it stalled, or it hangs on purpose."""
        hangs = self._fault.kind == "hang" and worker is self._victim
        return hangs or worker.spec.rank in self._stalled

    def _finished_iterations(self) -> int:
        return sum(worker.finished_iterations() for worker in self._pool.workers)

    def _fate(self, worker: Worker) -> Fate:
        rank = worker.spec.rank
        if worker.done is not None:
            return Fate(rank=rank, outcome=Outcome.FINISHED)
        if worker.ended is not None:
            outcome = Outcome.FAILED if worker.ended.traceback else Outcome.DIED
            return Fate(rank=rank, outcome=outcome, ended_ns=worker.ended_ns, text=worker.ended.reason)
        hanging = Fate(rank=rank, outcome=Outcome.STALLED, text="still hung at the end of the trial")
        return self._stalled.get(rank, hanging)


class _Stalls:
    """Tells which counters have not moved for `timeout_s`."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._seen: dict[int, tuple[int, float]] = {}
        self.text = f"no iteration finished for {timeout_s:g} s"

    def found(self, which: int, count: int) -> bool:
        now = time.monotonic()
        last, since = self._seen.get(which, (None, now))
        if count != last:
            self._seen[which] = count, now
        return count == last and now - since > self._timeout_s


def _at_work(workers: Sequence[Worker]) -> list[Worker]:
    return [worker for worker in workers if worker.done is None and worker.ended is None]


def _kill_servers(daemon: MpsDaemon) -> None:
    if not kill_servers_of(daemon.pipe_dir):
        raise RunError("there was no MPS server to kill")
