"""A configuration is data: of Hydra's own settings it may hold those that run no code, listed here.

Hydra imports and calls what its own part of the configuration names (``_target_``, logging classes,
callbacks), sets environment variables and takes lists of further overrides. A file that was shared can hold
all of that, so everything that is not on the list must be as Hydra and this program ship it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override, QuotedString
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.resolvers import oc

from mps_experiments.config import mistakes
from mps_experiments.config.internals import BASIC_LAUNCHER
from mps_experiments.config.schema import CONFIG_NAME, conf_dir
from mps_experiments.errors import ConfigError

_FREE = ("mode", "run.dir", "sweep.dir", "sweep.subdir", "sweeper.params", "searchpath")
_WRITTEN_BY_HYDRA = "overrides", "runtime", "job.override_dirname", "job.config_name", "job.num", "job.id"
_IF_TRUSTED = "if you trust it, add allow_code=true to the command line"
_MAX_SHOWN = 100  # characters of a value in a message


@dataclass(frozen=True, kw_only=True)
class Trust:
    """What was typed on the command line, and so is wanted: code of any kind, and these factories."""

    allow_code: bool = False
    factories: frozenset[str] = frozenset()


def trust_in(given: Sequence[Override]) -> Trust:
    """Return what the overrides of the command line vouch for; the later of two counts."""
    allow_code = False
    factories: set[str] = set()
    for override in given:
        if override.key_or_group == "allow_code":
            if override.is_sweep_override():
                raise ConfigError(*mistakes.split(str(override.input_line)), "takes one value, true or false")
            allow_code = str(override.value()).lower() == "true"
        if override.key_or_group == "workload.factory":
            values = mistakes.values_of(override)
            factories |= {str(each.text if isinstance(each, QuotedString) else each) for each in values}
    return Trust(allow_code=allow_code, factories=frozenset(factories))


def close_environment(trust: Trust) -> None:
    """Refuse ``${oc.env:NAME}`` unless code is allowed: the value would go into the record and to MLflow."""

    def refuse(name: str, *_: object) -> str:
        what = 'would be copied into the record; let the shell insert it: option="$NAME"'
        raise ConfigError("configuration", "", f"the environment variable {name} {what}")

    OmegaConf.register_new_resolver("oc.env", oc.env if trust.allow_code else refuse, replace=True)


def refuse_code(composed: DictConfig, trust: Trust, overrides: Sequence[str]) -> None:
    """Refuse a configuration that would run code or set the environment, unless that is trusted.

    `composed` is one cell with Hydra's own part, not resolved; `overrides` are all that Hydra was handed.
    """
    raw: Any = OmegaConf.to_container(composed, resolve=False)
    hydra = raw.pop("hydra")
    launcher = (hydra["launcher"] or {}).get("_target_")
    if launcher != BASIC_LAUNCHER:
        what = "cannot be used: runs come one after another, or they would disturb each other; leave it out"
        raise _refusal("hydra/launcher", launcher, what)
    if trust.allow_code:
        return
    if raw["allow_code"]:
        raise _refusal("allow_code", "true", "counts only on the command line; a file cannot allow itself")
    for key, value in leaves(raw):
        if "_target_" in key.split("."):
            raise _refusal(key, value, f"names code to run; {_IF_TRUSTED}")
    factory = raw["workload"]["factory"]
    if factory is not None and factory not in trust.factories:
        what = "names code to run; if you trust it, write the same on the command line"
        raise _refusal("workload.factory", factory, what)
    for key, value in leaves(hydra):
        is_free = any(f"{key}.".startswith(f"{name}.") for name in _FREE + _WRITTEN_BY_HYDRA)
        if not is_free and not any((key, value) in shipped.items() for shipped in shipped_settings()):
            what = "is an option of Hydra, which can run code"
            raise _refusal(f"hydra.{key}", value, f"{what}; {_IF_TRUSTED}")
    for override in [*hydra["overrides"]["hydra"], *hydra["overrides"]["task"]]:
        if override not in overrides:
            raise _refusal("hydra.overrides", override, f"was not on the command line; {_IF_TRUSTED}")
    params = hydra["sweeper"].get("params") or {}
    for key, value in params.items() if isinstance(params, dict) else [("", params)]:
        if isinstance(value, dict | list) or "${" in str(value) or not key:
            raise _refusal(f"hydra.sweeper.params.{key}", value, "must be written out, such as 1,2")
        if str(key).lstrip("+~").startswith("hydra"):
            raise _refusal(f"hydra.sweeper.params.{key}", value, "Hydra's own options cannot be swept")


@cache
def shipped_settings() -> tuple[dict[str, object], ...]:
    """Return Hydra's own part as this program and as Hydra itself ship it, by dotted names.

    To be called first where Hydra is not initialised.
    """
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir()), job_name="mps_experiments"):
        loader = GlobalHydra.instance().config_loader()
        composed = [loader.load_configuration(name, [], RunMode.RUN) for name in (CONFIG_NAME, None)]
    return tuple(dict(leaves(OmegaConf.to_container(each.hydra, resolve=False))) for each in composed)


def leaves(node: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield dotted name and value of all that is not a dict or a list itself."""
    if not isinstance(node, dict | list):
        yield prefix, node
        return
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        yield from leaves(value, f"{prefix}.{key}" if prefix else str(key))


def refuse_place(option: str, value: str, below: str = "") -> None:
    """Refuse a folder that cannot be, or that leads out of the folder of the option `below`, if given."""
    path = PurePosixPath(value)
    if below and (path.is_absolute() or ".." in path.parts or not path.parts):
        what = f"must be the name of a folder below {below}, without .. and not absolute"
        raise _refusal(option, value, what)
    if not value:
        raise _refusal(option, value, "is empty; write . for the current folder")
    if not value.isprintable():
        raise _refusal(option, value, "must be a path of printable characters")


def _refusal(option: str, value: object, why: str) -> ConfigError:
    """Return an error that reads well by itself, and after the experiment that sets the option."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    shown = text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
    return ConfigError("configuration", "", f"{option}={shown} {why}")
