"""Print and write the answer: the words, the picture and the experiment to use."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from mps_experiments.errors import ConfigError
from mps_experiments.record.disk import write_atomically
from mps_experiments.report.pareto import pareto_chart
from mps_experiments.report.terminal import Terminal, complain
from mps_experiments.sweep.export.experiment import FOLDER, Experiment, experiment_of
from mps_experiments.sweep.export.values import stored_run
from mps_experiments.sweep.recommend.answer import Answer
from mps_experiments.sweep.recommend.known import KnownCells

MODULE = "mps_experiments.recommend"
NAME = "recommended"


def tell(
    study: KnownCells, folder: Path, typed: Sequence[str], more: Sequence[str] = (), is_printed: bool = False
) -> Answer:
    """Print the answer, with more lines behind it, unless the sweep did; write it into a folder."""
    answer, terminal = Answer(study), Terminal(None)
    lines = [*answer.lines(), *more]
    if not is_printed:
        terminal.decision("\n".join(lines))
    for line in write_answer(answer, folder, lines):
        terminal.to_copy(line)
    terminal.to_copy(f"the same search: {shlex.join(['python', '-m', MODULE, *typed])}")
    return answer


def write_answer(answer: Answer, folder: Path, lines: Sequence[str]) -> list[str]:
    """Write what is to be had into a folder, and return a line for each file.

    A file that cannot be written is told on standard error: the answer was found all the same.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        said = list(_write(answer, folder))
        write_atomically(folder / "recommendation.txt", "\n".join([*lines, *said, ""]).encode())
    except OSError as error:
        complain(f"the answer cannot be written to {folder}: {error.strerror or error}")
        return []
    return said


def _write(answer: Answer, folder: Path) -> Iterator[str]:
    study = answer.study
    percentile, points = answer.points()
    if len(points) > 1:
        limit = next((each for each in study.aim.limits if each.flag == f"--{percentile}-ms"), None)
        item = next(runs[0].cell.item for runs in study.runs if runs)
        chart = pareto_chart(points, percentile, item, limit.most / 1e3 if limit else None)
        write_atomically(folder / "pareto.png", chart.png)
        yield f"picture: {folder / 'pareto.png'}"
    if answer.chosen is not None and (experiment := _experiment(study, answer.chosen)) is not None:
        experiment.place(folder)
        yield f"YAML: {folder / FOLDER / NAME}.yaml"
        yield from _commands(experiment, str(folder))


def _commands(experiment: Experiment, folder: str) -> Iterator[str]:
    """Say what is typed to run the experiment; a copy is needed where its path cannot be typed, or read."""
    if folder.isprintable() and "${" not in folder:
        yield from (f"run it: {line}" for line in experiment.lines(folder))
        return
    what = f"copy {FOLDER}/ to a FOLDER whose path has no ${{...}} and no control character"
    yield from (f"to run it, {what}: {line}" for line in experiment.lines("FOLDER"))


def _experiment(study: KnownCells, arm: int) -> Experiment | None:
    """Return the cell as an experiment; None, with a line on standard error, where it cannot be written."""
    run = stored_run(study.runs[arm][0])
    try:
        return experiment_of([replace(run, values=run.values | {"repeat": 0})], NAME)
    except ConfigError as error:
        complain(f"no YAML of {study.names[arm]}: {error}")
        return None
