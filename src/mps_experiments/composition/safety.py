"""A configuration is data: what would run code, or read a secret, needs the word of whoever starts the run.

Hydra itself imports and calls what its own part of the configuration names (`_target_`, logging classes,
callbacks), sets environment variables for what it starts, and takes lists of further overrides. A file that
was shared can hold all of that, so only what Hydra ships is let through.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import hydra.conf
from hydra.core.override_parser.types import Override, QuotedString
from omegaconf import DictConfig, OmegaConf
from omegaconf.resolvers import oc

from mps_experiments.composition import mistakes
from mps_experiments.errors import ConfigError

_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
_LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
_LOGGING = ("hydra_logging", "job_logging")
_MUST_BE_EMPTY = {
    "callbacks": "is code to run",
    "job.env_set": "changes the environment of all that is started",
    "job.env_copy": "copies the environment into the record",
}
_MAX_SHOWN = 100  # characters of a value in a message
_IF_TRUSTED = "if you trust it, add allow_code=true to the command line"


@dataclass(frozen=True, kw_only=True)
class Trust:
    """What was typed on the command line, and so is wanted.

    Attributes:
        allow_code: Whether the configuration may name code to run.
        factories: Values of workload.factory.
    """

    allow_code: bool = False
    factories: frozenset[str] = frozenset()


def trust_in(given: Sequence[Override]) -> Trust:
    """What the overrides of the command line vouch for; the later of two counts.

    Raises:
        ConfigError: If allow_code is swept over.
    """
    allow_code = False
    factories: set[str] = set()
    for override in given:
        if override.key_or_group == "allow_code":
            if override.is_sweep_override():
                raise ConfigError(*mistakes.split(str(override.input_line)), "takes one value, true or false")
            allow_code = str(override.value()).lower() == "true"
        if override.key_or_group == "workload.factory":
            factories |= {_text(value) for value in mistakes.values_of(override)}
    return Trust(allow_code=allow_code, factories=frozenset(factories))


def _text(value: object) -> str:
    return str(value.text) if isinstance(value, QuotedString) else str(value)


def refuse_code(composed: DictConfig, trust: Trust, overrides: Sequence[str]) -> None:
    """Refuse a configuration that would run code or set the environment, unless that is trusted.

    Args:
        composed: One cell with Hydra's own part, not resolved.
        trust: What the command line vouches for.
        overrides: All that were handed to Hydra.

    Raises:
        ConfigError: With the first such value.
    """
    if trust.allow_code:
        return
    raw = OmegaConf.to_container(composed, resolve=False)
    assert isinstance(raw, dict)  # noqa: S101 - a DictConfig
    if composed.allow_code:
        raise _refusal("allow_code", "true", "counts only on the command line; a file cannot allow itself")
    for key, value in leaves(raw):
        if "_target_" in key.split(".") and value not in (_SWEEPER, _LAUNCHER):
            raise _refusal(key, value, f"names code to run; {_IF_TRUSTED}")
    _refuse_hydras_own(raw["hydra"], overrides)
    factory = composed.workload.factory
    if factory is not None and factory not in trust.factories:
        what = "names code to run; if you trust it, write the same on the command line"
        raise _refusal("workload.factory", factory, what)


def _refuse_hydras_own(node: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """What Hydra executes: it must be what Hydra ships."""
    for key, what in _MUST_BE_EMPTY.items():
        group, _, name = key.rpartition(".")
        if value := (node[group] if group else node)[name]:
            raise _refusal(f"hydra.{key}", value, f"{what}; {_IF_TRUSTED}")
    for key in _LOGGING:
        if node[key] not in _shipped(key):
            what = "is not a logging that Hydra ships, and logging can name code and files"
            raise _refusal(f"hydra.{key}", node[key], f"{what}; {_IF_TRUSTED}")
    if node["launcher"] != {"_target_": _LAUNCHER}:
        raise _refusal("hydra.launcher", node["launcher"], f"is not Hydra's basic launcher; {_IF_TRUSTED}")
    _refuse_sweeper(node["sweeper"])
    for key in ("hydra", "task"):  # Hydra reads its overrides back from here, cell by cell
        for override in node["overrides"][key]:
            if override not in overrides:
                what = f"was not on the command line; {_IF_TRUSTED}"
                raise _refusal(f"hydra.overrides.{key}", override, what)


def _refuse_sweeper(sweeper: Any) -> None:
    keys = {"_target_", "max_batch_size", "params"}
    if not isinstance(sweeper, dict) or sweeper.keys() != keys or sweeper["_target_"] != _SWEEPER:
        raise _refusal("hydra.sweeper", sweeper, f"is not Hydra's basic sweeper; {_IF_TRUSTED}")
    size = sweeper["max_batch_size"]
    if size is not None and not (isinstance(size, int) and size > 0):
        raise _refusal("hydra.sweeper.max_batch_size", size, "must be a whole number above 0, or null")
    params = sweeper["params"]
    if not isinstance(params, dict | None):
        raise _refusal("hydra.sweeper.params", params, "must map options to values")
    for key, value in (params or {}).items():
        name = f"hydra.sweeper.params.{key}"
        if isinstance(value, dict | list) or "${" in str(value):
            raise _refusal(name, value, "must be written out, such as 1,2")
        if str(key).lstrip("+~").startswith("hydra"):
            raise _refusal(name, value, "Hydra's own options cannot be swept")


def leaves(node: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Dotted name and value of all that is not a dict or a list itself."""
    if isinstance(node, dict | list):
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in items:
            yield from leaves(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, node


def shortened(value: object) -> str:
    """The beginning of a value that may be a whole tree."""
    text = str(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


@cache
def _shipped(group: str) -> list[Any]:
    """The logging configurations in Hydra's own package."""
    folder = Path(hydra.conf.__file__).parent / "hydra" / group
    return [OmegaConf.to_container(OmegaConf.load(file)) for file in sorted(folder.glob("*.yaml"))]


def _refusal(option: str, value: object, why: str) -> ConfigError:
    """An error that reads well by itself, and after the experiment that sets the option."""
    return ConfigError("configuration", "", f"{option}={shortened(value)} {why}")


def close_environment(trust: Trust) -> None:
    """Refuse ``${oc.env:NAME}`` unless code is allowed: the value would go into the record and to MLflow."""

    def refuse(name: str, *_: object) -> str:
        what = 'would be copied into the record; let the shell insert it: option="$NAME"'
        raise ConfigError("configuration", "", f"the environment variable {name} {what}")

    OmegaConf.register_new_resolver("oc.env", oc.env if trust.allow_code else refuse, replace=True)
