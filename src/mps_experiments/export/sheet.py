"""The text of one experiment: comments, choices of groups, axes, and every value that is not a default."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import OmegaConf

from mps_experiments.config import Config, conf_dir
from mps_experiments.errors import ConfigError, without_passwords
from mps_experiments.export.grid import Grid
from mps_experiments.export.values import Values, plain, typed

_GROUPS = ("mps", "workload", "fault")
# Options that a group's choice sets alone, and so are shown as the group on an axis.
_AXIS_GROUPS = {"mps.enabled": "mps", "fault.kind": "fault"}


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """An experiment to be written to NAME.yaml."""

    name: str
    text: str
    typed: tuple[str, ...]
    """What must stand on the command line beside experiment=NAME."""

    @property
    def arguments(self) -> list[str]:
        """The command line of the program that runs it."""
        return [f"experiment={self.name}", *self.typed]


def make_sheet(name: str, grid: Grid, comments: Sequence[str], every_option: bool = False) -> Sheet:
    """The experiment whose cells are this grid.

    Args:
        name: Of the file, without its ending.
        grid: The cells.
        comments: Lines for the person who reads it.
        every_option: Also write what is a default in this version.

    Raises:
        ConfigError: If a value holds a password.
    """
    _refuse_passwords(grid)
    factories = [*grid.axes.get("workload.factory", ()), grid.common.get("workload.factory")]
    factory = ",".join(typed(each) for each in factories if each is not None)
    sheet = Sheet(name=name, text="", typed=(f"workload.factory={factory}",) if factory else ())
    command = shlex.join(["python", "-m", "mps_experiments", *sheet.arguments])
    head = ["# @package _global_", *(f"# {_one_line(each)}" for each in (command, *comments))]
    tree = OmegaConf.to_yaml(OmegaConf.create(_tree(grid, every_option)))
    return Sheet(name=name, text="\n".join([*head, tree]), typed=sheet.typed)


def default_name(grid: Grid) -> str:
    """A name that says what is in it: ``resnet50-on-procs2-times50``, with both ends of longer axes."""

    def values(option: str) -> str:
        found = grid.axes.get(option, (grid.common.get(option),))
        words = list(map(_word, found))
        return words[0] if len(words) == 1 else f"{words[0]}-{words[-1]}"

    model = values("workload.factory" if grid.common.get("workload.kind") == "custom" else "workload.model")
    parts = [model, values("mps.enabled"), f"procs{values('procs')}", f"times{values('times')}"]
    if "fault.kind" in grid.axes or grid.common["fault.kind"] != "none":
        parts.append(values("fault.kind"))
    return re.sub(r"[^\w-]+", "-", "-".join(parts), flags=re.ASCII).strip("-")[:120]


def _tree(grid: Grid, every_option: bool) -> dict[str, Any]:
    chosen = {group: _choice(group, grid.common) for group in _GROUPS}
    expected = _expected(chosen.values())
    tree: dict[str, Any] = {"defaults": _overrides(grid, chosen)}
    if grid.axes:
        params = dict(_param(name, values) for name, values in grid.axes.items())
        tree["hydra"] = {"mode": "MULTIRUN", "sweeper": {"params": params}}
    for name, value in grid.common.items():
        if every_option or expected[name] != value:
            group, _, key = name.rpartition(".")
            (tree.setdefault(group, {}) if group else tree)[key] = _literal(value)
    return tree


def _overrides(grid: Grid, chosen: Mapping[str, "_Choice"]) -> list[dict[str, str]]:
    """The choices of groups; one that is an axis is chosen there."""
    swept = {_AXIS_GROUPS.get(name) for name in grid.axes}
    return [{f"override /{group}": each.option} for group, each in chosen.items() if group not in swept]


@dataclass(frozen=True, kw_only=True)
class _Choice:
    option: str
    values: Values


def _choice(group: str, values: Values) -> _Choice:
    """The option of a group that leaves least to be said; the default before others."""
    defaults = plain(Config())
    found = []
    for path in sorted((conf_dir() / group).glob("*.yaml")):
        tree = OmegaConf.to_container(OmegaConf.load(path))
        assert isinstance(tree, dict)  # noqa: S101 - files of ours
        sets = {f"{group}.{key!s}": value for key, value in tree.items()}
        amiss = sum(values.get(name, value) != value for name, value in (defaults | sets).items())
        unusual = sum(defaults[name] != value for name, value in sets.items())
        found.append((amiss, unusual, path.stem, sets))
    best = min(found, key=lambda each: each[:3])
    return _Choice(option=best[2], values=best[3])


def _expected(chosen: Any) -> Values:
    """What the choices give without another word."""
    expected = plain(Config())
    for choice in chosen:
        expected |= choice.values
    return expected


def _param(name: str, values: Sequence[object]) -> tuple[str, str]:
    group = _AXIS_GROUPS.get(name)
    if group is None:
        return name, ",".join(map(typed, values))
    return group, ",".join(map(_word, values))


def _word(value: object) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _literal(value: Any) -> Any:
    """A value that OmegaConf takes as it stands: what looks like an interpolation is only a text."""
    if isinstance(value, Mapping):
        return {key: _literal(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_literal(inner) for inner in value]
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if isinstance(value, str) else value


def _refuse_passwords(grid: Grid) -> None:
    for name, value in [*grid.common.items(), *grid.axes.items()]:
        if (text := str(value)) != without_passwords(text):
            what = "it has an address with a password, which would be shared with the file; it is not written"
            raise ConfigError(name, "", what)


def _one_line(text: str) -> str:
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
