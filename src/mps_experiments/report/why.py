"""Show why N processes take longer than one: a bar for each cell, and a sentence; pure."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mps_experiments.analysis.explanation import Explanation
from mps_experiments.analysis.gpu_limits import Cause
from mps_experiments.analysis.numbers import per_cent, short
from mps_experiments.analysis.panels import ARMS, Panel
from mps_experiments.record.axes import varied_factors
from mps_experiments.record.cell import times_order
from mps_experiments.record.decomposition import decompose
from mps_experiments.record.measurement import Measurement
from mps_experiments.report.content import Table
from mps_experiments.report.drawing import Chart, drawn
from mps_experiments.report.ink import COLOURS
from mps_experiments.report.summary import CellCause

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The parts of an iteration: colour, name in the legend, key in an explanation's figures, in words.
_PARTS = (
    ("running", "its operations run", "growth/kernels_ms", "in its own operations"),
    ("behind", "waits for others", "growth/behind_others_ms", "waiting for other workers' operations"),
    ("idle", "waits, GPU idle", "growth/waiting_idle_ms", "waiting while the GPU runs nothing"),
    ("host", "host", "growth/host_ms", "on the host (Python, launching, synchronising)"),
)
# Of which of these parts a cause was made; of the others any may be.
_OF_CAUSE = {
    Cause.HOST: ("idle", "host"),
    Cause.TIME_SLICED: ("running", "behind", "idle"),
    **dict.fromkeys(
        (Cause.MULTIPROCESSORS, Cause.MEMORY, Cause.GPU, Cause.CONTENTION), ("running", "behind")
    ),
}
_SEEN = 0.01  # of the whole, by which a part must exceed it
_NOTE = (
    "Parts of an iteration of the slowest worker, in the window; what ran and what waited is from the traced "
    "pass. Of several blocks, the one whose ratio is nearest to that of all."
)
_ROW_IN, _LEGEND_IN, _CHARACTER_IN = 0.27, 0.5, 0.085


def why_chart(panel: Panel, causes: Sequence[CellCause], prefix: str) -> Chart | None:
    """Draw a bar for each cell with a traced pass, as long as its iteration; None without two of them."""
    bars = _bars(panel, causes)
    if len(bars) < 2:
        return None
    names = [_name(panel, run) for run in bars]
    parts = [_parts_ms(run) for run in bars]

    height_in = _ROW_IN * len(bars) + _LEGEND_IN + 0.6

    def draw(axes: "Axes") -> None:
        lefts = [0.0] * len(parts)
        for number, (role, legend, *_) in enumerate(_PARTS):
            values = [part[number] for part in parts]
            look: dict[str, Any] = {"color": COLOURS[role], "edgecolor": COLOURS["paper"], "label": legend}
            axes.barh(range(len(parts)), values, left=lefts, height=0.7, **look)
            lefts = [left + value for left, value in zip(lefts, values, strict=True)]
        for place, whole in enumerate(lefts):
            axes.annotate(short(whole), (whole, place), (4, 0), textcoords="offset points", va="center")
        axes.set_xlim(0, max(lefts) * 1.12)
        axes.set_yticks(range(len(parts)), names)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("ms per iteration")
        axes.figure.subplots_adjust(top=1 - _LEGEND_IN / height_in)
        axes.figure.legend(loc="upper left", ncols=2, fontsize=9)

    words = [f"{name}: {_in_words(each)}" for name, each in zip(names, parts, strict=True)]
    left_in = 0.3 + _CHARACTER_IN * max(map(len, names))
    title = "Where the time of an iteration goes"
    return drawn(f"{prefix}why", title, f"ms: {'; '.join(words)}", draw, _NOTE, height_in, left_in)


def _bars(panel: Panel, causes: Sequence[CellCause]) -> list[Measurement]:
    """List the runs that are explained, and for each arm the one-process run of the largest, if traced."""
    runs = {}
    for cause in sorted(causes, key=lambda each: each.many.cell.procs):
        for m in filter(None, (cause.one, cause.many)):
            if m.cell.times == panel.times and m.activity is not None and m.activity.on_gpu:
                runs[_place(m)] = m
    return [runs[place] for place in sorted(runs)]


def _place(m: Measurement) -> tuple[object, ...]:
    cell = m.cell
    return cell.extras, times_order(cell.times), cell.procs, ARMS.index(cell.mps)


def _name(panel: Panel, m: Measurement) -> str:
    """Name a cell by what tells it apart within its panel."""
    axes = [each.cell.axes for each in panel.measurements]
    values = [f"{axis.name} {m.cell.axes[axis.name]}" for axis in varied_factors(axes)]
    values += [f"times {m.cell.times}"] * bool(panel.other_times)
    return " · ".join([str(m.cell.procs), m.cell.mps, *values])


def _parts_ms(m: Measurement) -> tuple[float, ...]:
    assert m.activity is not None  # noqa: S101 - the caller looked
    parts = decompose(m.samples, m.activity)
    return tuple(s * 1e3 for s in (parts.run_s, parts.behind_s, parts.idle_s, parts.host_s))


def _in_words(parts_ms: Sequence[float]) -> str:
    return ", ".join(f"{legend} {short(ms)}" for (_, legend, *_), ms in zip(_PARTS, parts_ms, strict=True))


def why_table(panel: Panel, causes: Sequence[CellCause]) -> Table | None:
    """Say in a sentence for each cell what its cause rests on; None if no cause rests on figures."""
    rows = [
        (_name(panel, cause.many), str(cause.explanation.cause), _sentence(cause.explanation))
        for cause in sorted(causes, key=lambda each: _place(each.many))
        if cause.explanation.figures
    ]
    header = ("processes · MPS", "cause", "what it rests on")
    title = "Why N processes take longer than one"
    return Table(title=title, header=header, rows=tuple(rows), holds_text=True) if rows else None


def unexplained(panel: Panel, causes: Sequence[CellCause]) -> list[str]:
    """Say why the other cells have no cause: cells with the same reason together."""
    names: dict[str, list[str]] = {}
    for cause in sorted(causes, key=lambda each: _place(each.many)):
        if not cause.explanation.figures:
            names.setdefault(cause.explanation.text, []).append(_name(panel, cause.many))
    return [f"{', '.join(each)}: {text}" for text, each in names.items()]


def _sentence(found: Explanation) -> str:
    """Say how much longer an iteration takes and the largest part that belongs to the cause."""
    total_ms = found.figures["growth/total_ms"]
    if found.is_free or total_ms <= 0:
        how = f"hardly longer than alone (+{short(total_ms)} ms)" if total_ms > 0 else "no longer than alone"
        busy = per_cent(found.figures["gpu_busy_alone_share"])
        room = f"; one worker keeps the GPU busy {busy} of its time" if found.is_free else ""
        return f"An iteration takes {how}{room}."
    own = _OF_CAUSE.get(found.cause, tuple(role for role, *_ in _PARTS))
    grown = {words: found.figures[key] for role, _, key, words in _PARTS if role in own}
    words, most_ms = max(grown.items(), key=lambda part: part[1])
    most, less = f"+{short(most_ms)} ms", most_ms - total_ms
    if less > _SEEN * total_ms:
        most = f"{most}, less {short(less)} ms elsewhere"
    return f"An iteration takes {short(total_ms)} ms longer than alone, most of all {words} ({most})."
