"""What a sweep runs next: the cells that were asked for in their order, then blocks until it is precise."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from mps_experiments.analysis.precision import (
    Compare,
    Goal,
    Progress,
    progress_line,
    reason_to_go_on,
    reason_to_stop,
)
from mps_experiments.config.cells import Request
from mps_experiments.config.schema import Config, FaultKind, Order
from mps_experiments.errors import ConfigError
from mps_experiments.record.measurement import Measurement
from mps_experiments.run.plan import RunPlan
from mps_experiments.run.skip import reason_to_skip
from mps_experiments.sweep.blocks import Slot, Turn, another_block, as_given, in_blocks, slot_of, twins_of

_OF_THE_SWEEP = ("order", "order_seed", "precision", "budget_min")
Announce = Callable[[int, str], None]  # so many runs come beside those known, and why (empty: nothing to say)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job to be: a cell that was asked for, or one of them again in an added block."""

    number: int
    cell: int  # the number of the cell that was asked for
    block: int


@dataclass(kw_only=True)
class Agenda:
    """The order of a sweep's jobs.

    Attributes:
        slots: The cells that were asked for, in Hydra's order; empty where a sweeper decides as it goes.
        seed: What each block's order is drawn from.
        twins: The cells of the first block that run twice.
        goal: What blocks are added for; None adds none.
        compare: What tells how precise the answer is.
        started: When the sweep began, of the monotonic clock, in seconds.
        turn: The run under way, where `arrange` decides.
        stopped: Why no more blocks are added and which comparisons are open; empty before.
    """

    slots: Sequence[Slot] = ()
    order: Order = Order.as_given
    seed: int = 0
    twins: Sequence[Slot] = ()
    goal: Goal | None = None
    compare: Compare = lambda _: ()
    started: float = field(default_factory=time.monotonic)
    turn: Turn | None = None
    stopped: str = ""
    _block_s: dict[int, float] = field(default_factory=dict)

    def arrange(self, measurements: Sequence[Measurement], announce: Announce) -> Iterator[Job]:
        """Yield jobs in the order in which they run; each has run when the next one is asked for.

        `measurements` grows while the jobs run. `announce` is told of runs that nobody asked for.
        """
        turns = self._in_order(self.slots, self.twins)
        announce(sum(turn.is_twin for turn in turns), "")
        for turn in turns:
            yield from self._run(turn, turn.slot.number, measurements)
        if self.goal is not None:
            yield from self._add_blocks(self.goal, measurements, announce)

    def _add_blocks(
        self, goal: Goal, measurements: Sequence[Measurement], announce: Announce
    ) -> Iterator[Job]:
        number = len(self.slots)
        while not (reason := reason_to_stop(goal, progress := self._progress(measurements))):
            block = max(self._block_s) + 1
            turns = self._in_order(another_block(self.slots, block))
            announce(len(turns), f"precision: {reason_to_go_on(goal, progress)}: repeat={block} is added")
            for turn in turns:
                yield from self._run(turn, number, measurements)
                number += 1
        self.stopped = f"{reason}; {progress_line(goal, progress)}"

    def _run(self, turn: Turn, number: int, measurements: Sequence[Measurement]) -> Iterator[Job]:
        began, before = time.monotonic(), len(measurements)
        self.turn = turn
        yield Job(number=number, cell=turn.slot.number, block=turn.slot.block)
        self.turn = None
        if not turn.is_twin:  # added blocks have none
            in_records_s = sum(m.wall_s for m in measurements[before:])  # counts for those that were resumed
            took_s = max(time.monotonic() - began, in_records_s)
            self._block_s[turn.slot.block] = self._block_s.get(turn.slot.block, 0.0) + took_s

    def _in_order(self, slots: Sequence[Slot], twins: Sequence[Slot] = ()) -> list[Turn]:
        if self.order is Order.as_given:
            return as_given(slots, twins)
        return in_blocks(slots, self.seed, frozenset(twins))

    def _progress(self, measurements: Sequence[Measurement]) -> Progress:
        return Progress(
            comparisons=self.compare(measurements),
            blocks=len(self._block_s),
            elapsed_s=time.monotonic() - self.started,
            block_s=max(self._block_s.values()),
        )

    def summary(self) -> dict[str, object]:
        """Return what sweep.json says of it."""
        told: dict[str, object] = {"order": self.order.value, "order_seed": self.seed}
        if self.goal is not None:
            told |= {"precision": self.goal.precision, "budget_min": self.goal.budget_s / 60}
            told["stopped"] = self.stopped
        return told


def agenda_of(
    request: Request, plans: Sequence[RunPlan], compare: Compare, started: float | None = None
) -> Agenda:
    """Plan the order of a command line's cells; none for a sweeper that decides as it goes.

    Args:
        request: What was asked for.
        plans: Of its cells.
        compare: What tells how precise the answer is.
        started: As `Agenda.started`; None for now.

    Raises:
        ConfigError: If cells differ in an option of the whole sweep, or no blocks can be added for precision.
    """
    cells = request.cells
    if not cells:
        return Agenda()
    for option in _OF_THE_SWEEP:
        _refuse_several(option, cells)
    first = cells[0]
    with_fault = any(cell.fault.kind is not FaultKind.none for cell in cells)
    if first.precision:
        _refuse_precision(request, with_fault)
    slots = [
        slot_of(number, cell, can_run=reason_to_skip(plan) is None)
        for number, (cell, plan) in enumerate(zip(cells, plans, strict=True))
    ]
    return Agenda(
        slots=slots,
        order=first.order if request.multirun and not with_fault else Order.as_given,
        seed=first.order_seed if request.multirun else 0,
        twins=() if with_fault else twins_of(slots, repeated=first.precision > 0),
        goal=Goal(precision=first.precision, budget_s=first.budget_min * 60) if first.precision else None,
        compare=compare,
        started=time.monotonic() if started is None else started,
    )


def _refuse_several(option: str, cells: Sequence[Config]) -> None:
    values = list(dict.fromkeys(getattr(cell, option) for cell in cells))
    if len(values) > 1:
        shown = ",".join(each.value if isinstance(each, Order) else str(each) for each in values)
        raise ConfigError(option, shown, "is one for the whole sweep; give one value")


def _refuse_precision(request: Request, with_fault: bool) -> None:
    precision = request.cells[0].precision
    if not request.multirun:
        what = "adds blocks to a sweep; add -m and the cells to compare, such as procs=1,2"
        raise ConfigError("precision", precision, what)
    if with_fault:
        what = "a fault is tried several times with fault.trials; leave out precision or the fault"
        raise ConfigError("precision", precision, what)
    if all(cell.procs != 1 for cell in request.cells):
        given = ",".join(str(procs) for procs in dict.fromkeys(cell.procs for cell in request.cells))
        what = f"compares with one process, which is not among the cells; add it, as procs=1,{given}"
        raise ConfigError("precision", precision, what)
