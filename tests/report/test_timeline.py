"""The picture of the traced pass: what it shows, computed, and that it is drawn."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mps_experiments.record.overlap import CPU_OPERATOR, KernelTrace
from mps_experiments.report.timeline import BINS, ZOOM_NS, Timeline, draw_timeline
from tests.traces import make_trace, random_trace, replica_trace

MS = 1_000_000
VERMILION = (0xD5, 0x5E, 0x00)


def slices(rank: int, *, shift_ns: int) -> KernelTrace:
    """Time slices of 1 ms out of each 2 ms, for 40 ms."""
    begins = range(shift_ns, 40 * MS, 2 * MS)
    return make_trace([(at, at + MS) for at in begins], rank=rank, boundaries_ns=(0, 20 * MS, 40 * MS))


SERIAL = (slices(0, shift_ns=0), slices(1, shift_ns=MS))
CONCURRENT = (slices(0, shift_ns=0), slices(1, shift_ns=0))


def drawn(traces: tuple[KernelTrace, ...], path: Path, title: str = "mps=on") -> Image.Image:
    draw_timeline(traces, title, path)
    with Image.open(path, formats=["PNG"]) as image:
        return image.convert("RGB")


def pixels_of(colour: tuple[int, int, int], image: Image.Image) -> int:
    return int((np.asarray(image) == colour).all(axis=2).sum())


def test_serial_workers_have_nothing_together_and_concurrent_ones_all() -> None:
    for traces, expected in ((SERIAL, 0.0), (CONCURRENT, 0.5)):
        timeline = Timeline.of(traces)
        assert timeline.shares(0, 40 * MS)[:, 0].tolist() == [0.5, 0.5, expected]


def test_a_bin_holds_the_share_of_its_time_that_each_lane_covers() -> None:
    timeline = Timeline.of([make_trace([(5, 25)]), make_trace([(20, 28), (30, 31)], rank=1)])
    edges = np.arange(0, 50, 10)
    assert timeline.shares(edges[:-1], edges[1:]).tolist() == [
        [0.5, 1.0, 0.5, 0.0],
        [0.0, 0.0, 0.8, 0.1],
        [0.0, 0.0, 0.5, 0.0],
    ]


def test_the_bins_cover_the_whole_pass_to_the_nanosecond() -> None:
    begin = 1_795_470_982_128_729_215
    trace = make_trace([(begin, begin + 600)], boundaries_ns=(begin, begin + 1001))
    edges = Timeline.of([trace]).bins()
    assert (edges[0], edges[-1], len(edges)) == (begin, begin + 1001, BINS + 1)
    assert np.diff(edges).min() >= 2


@pytest.mark.parametrize("seed", range(20))
def test_what_ran_together_equals_nanoseconds_counted_one_by_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    timeline = Timeline.of([random_trace(rng, rank) for rank in range(rng.integers(1, 5))])
    ticks = np.arange(timeline.start_ns, timeline.end_ns)
    active = np.sum([lane.covers(ticks) for lane in timeline.running], axis=0)
    assert timeline.together.covers(ticks).tolist() == (active >= 2).tolist()
    assert timeline.shares(ticks, ticks + 1)[-1].tolist() == (active >= 2).astype(float).tolist()


def test_only_the_time_that_all_workers_share_is_shown() -> None:
    timeline = Timeline.of([make_trace([(0, 60)]), make_trace([(40, 60)], rank=1, boundaries_ns=(50, 120))])
    assert (timeline.shared, timeline.start_ns, timeline.end_ns) == (True, 50, 100)
    assert timeline.shares(50, 100)[:, 0].tolist() == [0.2, 0.2, 0.2]


def test_passes_that_share_no_time_are_shown_whole() -> None:
    timeline = Timeline.of(
        [make_trace([(0, 100)]), make_trace([(200, 250)], rank=1, boundaries_ns=(200, 299))]
    )
    assert (timeline.shared, timeline.start_ns, timeline.end_ns) == (False, 0, 300)
    assert timeline.together.total_ns == 0


def test_the_zoom_shows_eight_milliseconds_of_fast_operations() -> None:
    traces = [replica_trace(rank, operations=6_000) for rank in range(2)]
    timeline = Timeline.of(traces)
    begin, end = timeline.zoom()
    assert end - begin == ZOOM_NS
    assert timeline.start_ns + timeline.length_ns / 4 - ZOOM_NS < begin
    assert end < timeline.start_ns + timeline.length_ns * 3 / 4 + ZOOM_NS


def test_the_zoom_is_longer_for_slow_operations_so_that_many_are_seen() -> None:
    spans = [(at * MS, (at + 5) * MS) for at in range(0, 6_000, 10)]
    begin, end = Timeline.of([make_trace(spans, boundaries_ns=(0, 6_000 * MS))]).zoom()
    assert end - begin == 600 * MS


def test_serial_and_concurrent_pictures_differ_in_the_lane_of_what_ran_together(tmp_path: Path) -> None:
    serial = drawn(SERIAL, tmp_path / "serial.png")
    concurrent = drawn(CONCURRENT, tmp_path / "concurrent.png")
    assert pixels_of(VERMILION, serial) == 0
    assert pixels_of(VERMILION, concurrent) > 20_000


@pytest.mark.parametrize(("count", "height"), [(1, 600), (2, 600), (8, 636), (48, 1600)])
def test_a_picture_holds_a_lane_for_each_worker_and_has_a_sane_size(
    count: int, height: int, tmp_path: Path
) -> None:
    solid = tuple(make_trace([(0, 40 * MS)], rank=r, boundaries_ns=(0, 40 * MS)) for r in range(count))
    image = drawn(solid, tmp_path / "timeline.png")
    assert image.size == (1200, height)
    column = np.asarray(image)[:, 900].astype(int)
    coloured = (column.max(axis=1) - column.min(axis=1)) > 60
    lanes = int((coloured[1:] & ~coloured[:-1]).sum())
    assert lanes == 2 * (count + (count > 1))


ODD = {
    "no worker": (),
    "no operation": (make_trace([]), make_trace([], rank=1)),
    "no iteration": (make_trace([], boundaries_ns=(5,)),),
    "no boundary": (make_trace([(0, 5)], boundaries_ns=()),),
    "no shared time": (make_trace([(0, 5)]), make_trace([(300, 310)], rank=1, boundaries_ns=(300, 400))),
    "operations outside the pass": (make_trace([(-900, -800), (500, 600)]),),
    "a pass of a nanosecond": (make_trace([(0, 1)], boundaries_ns=(0, 1)),),
    "a pass that ends before it starts": (make_trace([(0, 1)], boundaries_ns=(100, 0)),),
    "an operation that ends before it starts": (make_trace([(50, 40)]),),
    "the CPU": (make_trace([(0, 50), (10, 20)], kinds=[CPU_OPERATOR] * 2),),
}


@pytest.mark.parametrize("traces", ODD.values(), ids=ODD.keys())
def test_an_odd_trace_is_drawn_as_far_as_it_goes(traces: tuple[KernelTrace, ...], tmp_path: Path) -> None:
    assert drawn(traces, tmp_path / "timeline.png").size == (1200, 600)


def test_matplotlib_is_loaded_only_to_draw_and_its_global_state_never(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from mps_experiments.report.timeline import draw_timeline;"
        "before = 'matplotlib' in sys.modules; draw_timeline([], '', Path(sys.argv[1]));"
        "print(before, 'matplotlib' in sys.modules, 'matplotlib.pyplot' in sys.modules)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "timeline.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["False", "True", "False"]
