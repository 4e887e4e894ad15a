"""Run one trial of a fault: wait for its moment, cause it, and watch what becomes of every worker."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from mps_experiments.errors import RunError
from mps_experiments.mps.control import MpsControl
from mps_experiments.mps.processes import kill_servers_of
from mps_experiments.record.faults import Fate, FaultTrial, Outcome
from mps_experiments.run.environment import Environment
from mps_experiments.run.newcomer import NewcomerDesk
from mps_experiments.run.plan import FaultPlan, RunPlan
from mps_experiments.run.server_watch import ServerWatch
from mps_experiments.workers.pool import Worker, WorkerPool

# Over all attempts. A new server is there in a second; a minute means that none will come.
_NEWCOMER_TIMEOUT_S = 60.0
_POLL_S = 0.001  # short, to hit a worker in mid-iteration; the runner has a core of its own


@dataclass(kw_only=True)
class Trial:
    """A trial while it goes on.

    Attributes:
        pool: Workers that have been released.
        stall_timeout_s: Seconds without a finished iteration after which a worker counts as stalled.
    """

    fault: FaultPlan
    pool: WorkerPool
    environment: Environment
    desk: NewcomerDesk
    stall_timeout_s: float
    _stalled: dict[int, Fate] = field(default_factory=dict)

    def run(self, tick_s: float, on_tick: Callable[[int], None]) -> FaultTrial:
        """Run the trial until every worker and the newcomer have come to an end.

        Args:
            tick_s: Seconds between two reports of the progress.
            on_tick: Called with the number of iterations finished by all workers.

        Raises:
            RunError: If something went wrong before the fault, or the fault could not be made to happen.
        """
        daemon = self.environment.daemon
        hit = self._hit()
        with ServerWatch(daemon.control if daemon else None) as watch, self.desk:
            self._wait_for_the_moment()
            injected_after = self._victim.finished_iterations()
            watch.look_closely()
            injected_ns = hit()
            self._outlast(injected_ns, tick_s, on_tick)
            self.desk.open()
            self.desk.wait()
        return FaultTrial(
            kind=self.fault.kind,
            worker=self.fault.worker,
            trial=self.fault.trial or 0,
            at=self.fault.at,
            injected_ns=injected_ns,
            injected_after=injected_after,
            fates=tuple(self._fate(worker) for worker in self.pool.workers),
            server_states=watch.states,
            newcomer=self.desk.newcomer,
        )

    @property
    def _victim(self) -> Worker:
        return self.pool.workers[self.fault.worker]

    def _is_due(self) -> bool:
        return bool(self._victim.boundaries_ns[self.fault.after_iterations])

    def _wait_for_the_moment(self) -> None:
        """Wait until the victim has done its iterations before the fault."""
        finished, changed = -1, time.monotonic()
        while not self._is_due():
            ended = self.pool.listen(_at_work(self.pool.workers), _POLL_S)
            if ended and not self._is_due():
                raise ended[0]
            if (count := self._finished_iterations()) != finished:
                finished, changed = count, time.monotonic()
            if time.monotonic() - changed > self.stall_timeout_s:
                raise RunError(f"before the fault no iteration finished for {self.stall_timeout_s:g} s")

    def _hit(self) -> Callable[[], int]:
        """Return the function that causes the fault and returns its time, in nanoseconds.

        All questions to the daemon are asked before, so that nothing delays the fault.
        """
        if self.fault.is_in_worker:
            return lambda: self._victim.boundaries_ns[self.fault.after_iterations]
        act = self._act()

        def hit() -> int:
            if self._victim.finished_iterations() == self._victim.spec.iterations:
                raise RunError(
                    f"worker {self.fault.worker} did all of its iterations before the fault: increase times"
                )
            now = time.monotonic_ns()
            act()
            return now

        return hit

    def _act(self) -> Callable[[], object]:
        if self.fault.kind == "kill":
            return self._victim.kill
        daemon = self.environment.daemon
        assert daemon is not None, "a cell that needs MPS is skipped without it"  # noqa: S101
        if self.fault.kind == "server_kill":
            return lambda: _refuse_none(kill_servers_of(daemon.pipe_dir))
        if self.fault.kind == "daemon_kill":
            return daemon.kill
        server_pid = _server_of(daemon.control, self._victim.pid)
        return lambda: daemon.control.terminate_client(server_pid, self._victim.pid)

    def _outlast(self, injected_ns: int, tick_s: float, on_tick: Callable[[int], None]) -> None:
        """Watch until every worker has finished, failed, died or stalled; send the newcomer meanwhile."""
        newcomer_at_ns = injected_ns + round(self.fault.newcomer_after_s * 1e9)
        progress = {worker.spec.rank: (-1, 0.0) for worker in self.pool.workers}
        while waiting := [w for w in _at_work(self.pool.workers) if not self._is_given_up(w)]:
            now = time.monotonic()
            for worker in waiting:
                count = worker.finished_iterations()
                if count != progress[worker.spec.rank][0]:
                    progress[worker.spec.rank] = (count, now)
                elif now - progress[worker.spec.rank][1] > self.stall_timeout_s:
                    self._give_up(worker, f"no iteration finished for {self.stall_timeout_s:g} s")
            on_tick(self._finished_iterations())
            until_newcomer_s = (newcomer_at_ns - time.monotonic_ns()) / 1e9
            if until_newcomer_s <= 0:
                self.desk.open()
            patience_s = min(tick_s, until_newcomer_s) if until_newcomer_s > 0 else tick_s
            self.pool.listen(waiting, patience_s)

    def _is_given_up(self, worker: Worker) -> bool:
        """Tell if nothing is expected of this worker any more: it stalled, or it hangs on purpose."""
        hangs = self.fault.kind == "hang" and worker is self._victim
        return hangs or worker.spec.rank in self._stalled

    def _give_up(self, worker: Worker, text: str) -> None:
        rank = worker.spec.rank
        self._stalled[rank] = Fate(
            rank=rank, outcome=Outcome.STALLED, ended_ns=time.monotonic_ns(), text=text
        )

    def _finished_iterations(self) -> int:
        return sum(worker.finished_iterations() for worker in self.pool.workers)

    def _fate(self, worker: Worker) -> Fate:
        rank = worker.spec.rank
        if worker.done is not None:
            return Fate(rank=rank, outcome=Outcome.FINISHED)
        if worker.ended is not None:
            outcome = Outcome.FAILED if worker.ended.traceback else Outcome.DIED
            return Fate(rank=rank, outcome=outcome, ended_ns=worker.ended_ns, text=worker.ended.reason)
        hanging = Fate(rank=rank, outcome=Outcome.STALLED, text="still hung at the end of the trial")
        return self._stalled.get(rank, hanging)


def trial_of(
    plan: RunPlan,
    fault: FaultPlan,
    pool: WorkerPool,
    environment: Environment,
    newcomer_cores: tuple[int, ...],
) -> Trial:
    """Build the trial that a run's plan asks for.

    Args:
        plan: The run.
        fault: Its fault.
        pool: Its workers.
        environment: The environment of the workers.
        newcomer_cores: CPU cores for the client sent after the fault; empty leaves it unpinned.
    """
    newcomer = replace(
        pool.specs[fault.worker],
        rank=plan.worker_count,
        iterations=1,
        warmup_iterations=0,
        cpu_cores=newcomer_cores,
        verbose=False,
        log_path=str(plan.paths.newcomer_log),
        misbehaviour=None,
    )
    return Trial(
        fault=fault,
        pool=pool,
        environment=environment,
        desk=NewcomerDesk(
            lambda: replace(pool, specs=[newcomer], workers=[]),
            environment.observe,
            _NEWCOMER_TIMEOUT_S,
        ),
        stall_timeout_s=plan.workers.stall_timeout_s,
    )


def _at_work(workers: Sequence[Worker]) -> list[Worker]:
    return [worker for worker in workers if worker.done is None and worker.ended is None]


def _refuse_none(killed: tuple[int, ...]) -> None:
    if not killed:
        raise RunError("there was no MPS server to kill")


def _server_of(control: MpsControl, client_pid: int) -> int:
    for client in control.clients():
        if client.pid == client_pid:
            return client.server_pid
    raise RunError(f"worker process {client_pid} is not a client of our MPS server: it cannot be terminated")
