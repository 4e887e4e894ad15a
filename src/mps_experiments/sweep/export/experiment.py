"""From stored runs to an experiment that was seen to give the same plans."""

import json
import math
import re
import shlex
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from mps_experiments.analysis.keys import frozen
from mps_experiments.config.cells import parse
from mps_experiments.config.schema import Config
from mps_experiments.errors import ConfigError, without_passwords
from mps_experiments.record.axes import is_number
from mps_experiments.sweep.export.values import StoredRun, Values, plain, typed

FOLDER = "experiment"  # the group that Hydra looks for the file in
FACTORY = "workload.factory"  # on the command line only: a configuration runs no code by itself
_GROUP_OF = {"mps.enabled": "mps", "fault.kind": "fault"}  # so that folders and runs are named as usual
_COMMAND = ("python", "-m", "mps_experiments", "--config-dir")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """An experiment to be written to NAME.yaml.

    Attributes:
        commands: Arguments of the program; one list if its settings are all combinations of some values, else
            one list for each setting.
    """

    name: str
    text: str
    commands: tuple[tuple[str, ...], ...]

    def place(self, folder: Path) -> None:
        """Write it where ``--config-dir FOLDER`` finds it."""
        path = folder / FOLDER / f"{self.name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.text, encoding="utf-8")

    def lines(self, folder: str) -> list[str]:
        """Return the commands as they are typed where the file is in ``FOLDER/experiment``."""
        return [shlex.join([*_COMMAND, folder, *command]) for command in self.commands]


def axes_of(settings: Sequence[Values]) -> dict[str, list[Any]]:
    """Return each option whose values differ, with the values that occur; numbers in their order."""
    found = {}
    for name in settings[0]:
        values = list({frozen(each[name]): each[name] for each in settings}.values())
        if len(values) > 1:
            numbers = all(map(is_number, values))
            found[name] = sorted(values) if numbers else values
    return found


def experiment_of(runs: Sequence[StoredRun], name: str = "") -> Experiment:
    """Write down the settings of these runs, and see that they are composed again.

    Args:
        runs: At least one.
        name: Of the experiment; empty for one made of the model and the first record's id.

    Raises:
        ConfigError: If this version does not take a value, a value holds a password, or the file would give
            another plan.
    """
    settings = list({frozen(run.values): run.values for run in runs}.values())
    _refuse_passwords(settings)
    axes, first = axes_of(settings), runs[0].measurement
    default = re.sub(r"[^A-Za-z0-9_]+", "-", f"{first.cell.model} {first.record_id[:8]}").strip("-_")
    name = name or default
    is_product = math.prod(map(len, axes.values())) == len(settings)
    tree = _tree(settings[0], axes)
    if axes and is_product:
        params = dict(_override(option, values) for option, values in axes.items() if option != FACTORY)
        tree["hydra"] = {"mode": "MULTIRUN", "sweeper": {"params": params}}
    commands = tuple((f"experiment={name}", *each) for each in _typed(settings, axes, is_product))
    lines = Experiment(name=name, text="", commands=commands).lines("DIR")
    comments = [f"Run it as DIR/{FOLDER}/{name}.yaml with:", *lines, *dict.fromkeys(_origin(runs))]
    head = "".join(f"# {_one_line(text)}\n" for text in comments)
    text = f"# @package _global_\n{head}{OmegaConf.to_yaml(_escaped(tree))}"
    experiment = Experiment(name=name, text=text, commands=commands)
    if _composed(experiment) != sorted(map(frozen, settings)):
        what = f"its configuration cannot be written as experiment={name} so that it gives the same plan"
        raise ConfigError("run", "", what)
    return experiment


def _composed(experiment: Experiment) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="mpsx-export-") as folder:
        experiment.place(Path(folder))
        requests = [parse(["--config-dir", folder, *command]) for command in experiment.commands]
    return sorted(frozen(plain(cell)) for request in requests for cell in request.cells)


def _typed(
    settings: Sequence[Values], axes: Mapping[str, Any], is_product: bool
) -> Iterator[tuple[str, ...]]:
    """Yield what each command names beside the experiment."""
    common = {} if FACTORY in axes or not settings[0][FACTORY] else {FACTORY: [settings[0][FACTORY]]}
    if is_product:
        named = [common | {option: axes[option] for option in axes if option == FACTORY}]
    else:
        named = [common | {option: [each[option]] for option in axes} for each in settings]
    for each in named:
        yield tuple("=".join(_override(option, values)) for option, values in each.items())


def _override(option: str, values: Sequence[Any]) -> tuple[str, str]:
    """Return what is set, and the values as they are typed."""
    if option == "mps.enabled":
        values = ["on" if value else "off" for value in values]
    return _GROUP_OF.get(option, option), ",".join(map(typed, values))


def _tree(values: Values, axes: Mapping[str, object]) -> dict[str, Any]:
    """Nest what all settings have in common and is no default."""
    defaults, tree = plain(Config()), dict[str, Any]()
    for option, value in values.items():
        if option in axes or option == FACTORY or value == defaults[option]:
            continue
        group, _, key = option.rpartition(".")
        (tree.setdefault(group, {}) if group else tree)[key] = value
    return tree


def _escaped(tree: dict[str, Any]) -> Any:
    """Escape what looks like an interpolation: in a record it is only a text. JSON doubles each backslash."""
    return json.loads(re.sub(r"(\\*)\$\{", r"\1\1\\\\${", json.dumps(tree)))


def _one_line(text: str) -> str:
    """Let no text of a record end a comment."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _refuse_passwords(settings: Sequence[Values]) -> None:
    for name, value in (item for each in settings for item in each.items()):
        if (text := str(value)) != without_passwords(text):
            what = "it has an address with a password, which would be shared with the file; it is not written"
            raise ConfigError(name, "", what)


def _origin(runs: Sequence[StoredRun]) -> Iterator[str]:
    """Say where the runs come from, which files they read, and what their records do not tell."""
    for m in (run.measurement for run in runs):
        machine, commit = m.machine, m.machine.git_commit or "no commit"
        day = time.strftime("%Y-%m-%d", time.gmtime(m.started_at))
        gpu = f"{machine.gpu.name}, driver {machine.driver_version}" if machine.gpu else machine.cpu
        yield f"Measured {day} on {gpu}, mps_experiments {machine.mps_experiments} ({commit})."
        files = {image.name: image.sha256 for image in m.cell.inputs if image.name != "sample"}
        files |= {m.cell.weights: m.weights_file_sha256} if m.weights_file_sha256 else {}
        yield from (f"{path} had sha256 {sha256}" for path, sha256 in files.items())
    if missing := dict.fromkeys(text for run in runs for text in run.missing):
        yield f"The record says nothing of {', '.join(missing)}: today's defaults."
