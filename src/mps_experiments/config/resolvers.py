"""The functions that conf/hydra/default.yaml and conf/tracking call by name."""

import hashlib
import os
import re

from omegaconf import OmegaConf

from mps_experiments.config.schema import EXPERIMENT_VARIABLE, STORE_VARIABLE, options
from mps_experiments.errors import ConfigError

_MAX_FOLDER_NAME = 200  # bytes; file systems take 255
_DIGEST_DIGITS = 8


def register_resolvers() -> None:
    """Make the functions known to OmegaConf."""
    OmegaConf.register_new_resolver("folder_name", folder_name, replace=True)
    OmegaConf.register_new_resolver("option_table", option_table, replace=True)
    OmegaConf.register_new_resolver("expanduser", os.path.expanduser, replace=True)
    OmegaConf.register_new_resolver("mlflow_variable", mlflow_variable, replace=True)


def mlflow_variable(name: str, otherwise: str | None) -> str | None:
    """Read one of the two variables of MLflow that name a place; an empty one counts as not set.

    Another one is refused: its value would go into the record.
    """
    if name not in (STORE_VARIABLE, EXPERIMENT_VARIABLE):
        what = f"mlflow_variable reads {STORE_VARIABLE} and {EXPERIMENT_VARIABLE} only, not {name}"
        raise ConfigError("configuration", "", what)
    return os.environ.get(name) or otherwise


def folder_name(override_dirname: str) -> str:
    """Make one path component of Hydra's list of overrides: no separators, at most 200 bytes.

    A name that had to be changed ends with a digest of the whole list, so that no two lists share a folder.

    >>> folder_name("mps=on,procs=2")
    'mps=on,procs=2'
    >>> folder_name("workload.input=/a/b.jpg")
    'workload.input=_a_b.jpg-0f3844e7'
    """
    if not override_dirname:
        return "defaults"
    name = re.sub(r"[^\w=,.+@\[\]-]", "_", override_dirname).lstrip(".")
    if name == override_dirname and len(name.encode()) <= _MAX_FOLDER_NAME:
        return name
    digest = hashlib.sha256(override_dirname.encode(errors="surrogateescape")).hexdigest()[:_DIGEST_DIGITS]
    kept = name.encode()[: _MAX_FOLDER_NAME - len(digest) - 1].decode(errors="ignore")
    return f"{kept}-{digest}"


def option_table() -> str:
    """List every option with its type, default and description, for ``--help``."""
    rows = [
        f"{option.name}={option.default_text}  ({option.wanted})\n    {option.description}"
        for option in options()
    ]
    return "\n".join(rows).replace("$", "$$")
