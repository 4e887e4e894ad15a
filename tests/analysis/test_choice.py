"""Which cell is best, which is the knee, and what is compared with what; N processes in T s do 10 N / T."""

import pytest

from mps_experiments.analysis.choice import Choice, choose
from tests.report_panels import Makespans, arm, panel_of


def both(on: Makespans, off: Makespans) -> Choice:
    found = choose(panel_of(*arm("off", off), *arm("on", on)))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("on", "off", "best", "knee"),
    [
        ({1: 1.0, 2: 1.0, 4: 1.0}, {}, ("on", 4), 4),
        ({1: 1.0, 2: 1.0, 4: 1.96}, {}, ("on", 4), 2),  # 2 do 98 % of what 4 do
        ({1: 1.0, 2: 1.0, 4: 1.79}, {}, ("on", 4), 4),  # 2 do 89.5 %
        ({1: 1.0, 2: 1.0, 4: 4.0, 8: 3.7}, {}, ("on", 8), 2),
        ({1: 1.0, 2: 1.9}, {}, ("on", 2), 1),
        ({1: 1.0, 2: 2.5}, {1: 1.0, 2: 1.1}, ("off", 2), 2),
        ({1: 1.0, 2: 1.0}, {1: 0.9, 2: 3.0}, ("on", 2), 2),
        ({1: 1.1, 2: 2.5}, {1: 1.0, 2: 3.7}, ("off", 1), 1),
        ({2: 1.0, 4: 1.2}, {}, ("on", 4), 4),
    ],
)
def test_best_is_the_most_throughput_and_knee_the_fewest_with_nine_tenths_of_it(
    on: Makespans, off: Makespans, best: tuple[str, int], knee: int
) -> None:
    found = both(on, off)
    assert (found.best.first.cell.mps, found.best.procs, found.knee.procs) == (*best, knee)
    assert found.knee.first.cell.mps == best[0]


@pytest.mark.parametrize(("makespan_s", "best"), [(1.985, 2), (1.975, 4)])
def test_as_much_is_99_per_cent(makespan_s: float, best: int) -> None:
    """Two do 20 images/s: that is 99.25 % or 98.75 % of what 4 do."""
    assert both({1: 1.0, 2: 1.0, 4: makespan_s}, {}).best.procs == best


def test_metrics_have_stable_names_and_leave_out_what_is_not_known() -> None:
    found = both({1: 1.0, 2: 1.0, 4: 1.96}, {1: 1.0, 2: 3.7}).metrics
    assert found == pytest.approx(
        {
            "best_throughput_per_s": 20.408163,
            "best_procs": 4,
            "knee_procs": 2,
            "gain_best": 2.0408163,
            "gain_best_low": 2.0408163,
            "gain_best_high": 2.0408163,
            "gain_over_off": 2.0408163,
            "p50_at_best_ms": 196.0,
            "ratio_2_on": 1.0,
            "ratio_4_on": 1.96,
            "ratio_2_off": 3.7,
        }
    )


def test_nothing_is_chosen_without_two_cells() -> None:
    assert choose(panel_of(*arm("on", {1: 1.0}))) is None
