"""From a command line to the cells it asks for, before any of them runs.

Hydra itself composes a cell when its turn comes, and reports a mistake with a page of text. Here every cell
is composed once, before the first one runs, and a mistake anywhere becomes one `ConfigError`.
"""

from mps_experiments.composition.cells import Grid, Request, parse
from mps_experiments.composition.composer import Cell, to_config
from mps_experiments.composition.jobs import hydra_jobs

__all__ = ["Cell", "Grid", "Request", "hydra_jobs", "parse", "to_config"]
