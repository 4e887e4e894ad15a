"""The table at the end of a replay: each stored cell beside what it gave now."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from mps_experiments.export.values import frozen, stored_values
from mps_experiments.measurement.verdict import Status
from mps_experiments.record import Measurement
from mps_experiments.replay.rows import rows

_NO_RATIO = "no ratio without the one-process run of the same sweep: replay the sweep's folder or parent run"


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Both results.

    Attributes:
        axes: Options in which the cells differ.
    """

    stored: Sequence[Measurement]
    now: Sequence[Measurement]
    axes: Sequence[str]

    def cells(self) -> dict[str, tuple[list[Measurement], list[Measurement]]]:
        """Key of each stored cell -> its repeats then and now, without the second of two equal runs (A/A)."""
        found: dict[str, tuple[list[Measurement], list[Measurement]]] = {}
        for measurement in filter(lambda m: not m.cell.is_twin, self.stored):
            found.setdefault(key_of(measurement, self.axes), ([], []))[0].append(measurement)
        for measurement in filter(lambda m: not m.cell.is_twin, self.now):
            if (cell := found.get(key_of(measurement, self.axes))) is not None:
                cell[1].append(measurement)
        return found


def key_of(measurement: Measurement, axes: Sequence[str]) -> str:
    """What tells a cell from the others of its sweep."""
    values = stored_values(measurement.config, measurement.cell).values
    return frozen({name: values[name] for name in axes})


def table(sides: Sides) -> Table:
    """Stored and now, a few lines for each cell."""
    made = Table(title="STORED AGAINST NOW", title_justify="left", caption_justify="left")
    for name in ("run", ""):
        made.add_column(name)
    for name in ("stored", "now", "difference"):
        made.add_column(name, justify="right")
    made.add_column("within the spread?")
    for stored, now in sides.cells().values():
        name = stored[0].cell_name
        for row in rows(stored, now, sides.stored, sides.now):
            texts = (name, row.what, row.stored, row.now, row.difference, row.spread)
            made.add_row(*map(Text, texts))  # as it stands: a reason may look like markup
            name = ""
        made.add_section()
    return made


def remarks(sides: Sides) -> list[str]:
    """What the table leaves open: why a run is not VALID now, and what cannot be compared."""
    said = [
        f"{each.name}: now {each.verdict.status.value}: {each.verdict.reason}"
        for each in sides.now
        if each.verdict.status is not Status.VALID
    ]
    counts = {measurement.cell.procs for measurement in sides.stored if measurement.is_ordinary}
    if counts and 1 not in counts:
        said.append(_NO_RATIO)
    return said
