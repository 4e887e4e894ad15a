"""What is not public in Hydra is still what Hydra uses by default."""

from mps_experiments.config.cells import parse
from mps_experiments.config.internals import BASIC_LAUNCHER, BASIC_SWEEPER


def test_hydras_own_launcher_and_sweeper_have_these_names() -> None:
    grid = parse(["-m", "procs=1"]).grid
    assert grid is not None
    hydra = grid.composer.master.hydra
    assert hydra.launcher["_target_"] == BASIC_LAUNCHER
    assert hydra.sweeper["_target_"] == BASIC_SWEEPER
