"""All of Hydra that this program uses and that is not public: look here when Hydra changes."""

from hydra._internal.callbacks import Callbacks
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra._internal.utils import get_args_parser

__all__ = [
    "BASIC_LAUNCHER",
    "BASIC_SWEEPER",
    "Callbacks",
    "FileConfigSource",
    "SourcesRegistry",
    "get_args_parser",
]

BASIC_LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
