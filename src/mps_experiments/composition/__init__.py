"""From a command line to the cells it asks for, before Hydra starts any of them.

Hydra composes a cell when its turn comes, and reports a mistake with a page of text and exit code 1.
Here every cell of the sweep is composed first, and a mistake anywhere becomes one `ConfigError`.
"""

from mps_experiments.axes import key_of
from mps_experiments.composition.cells import Request, parse, to_config
from mps_experiments.composition.launcher import Job

__all__ = ["Job", "Request", "key_of", "parse", "to_config"]
