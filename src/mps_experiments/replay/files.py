"""Find the files of a stored run again: where they were, next to the record, or in the current folder.

A name such as photo.jpg was typed in some folder. The record holds where the file was and its digest; the
digest decides, so that nothing else of the same name is measured in its place.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from mps_experiments.errors import ConfigError
from mps_experiments.lookup import FoundRun
from mps_experiments.workloads.factory import find_module
from mps_experiments.workloads.files import file_sha256
from mps_experiments.workloads.inputs import SAMPLE
from mps_experiments.workloads.sources import source_sha256
from mps_experiments.workloads.spec import is_weights_file

INPUT, WEIGHTS = "workload.input", "workload.weights"
_DigestOf = Callable[[Path], str | None]
_LEVELS = 6  # folders above a record: outputs/DATE/TIME/RUN/trial, and the one that outputs/ is in


def with_files_of_now(runs: Sequence[FoundRun], given: Sequence[str]) -> list[FoundRun]:
    """Let the configuration of each run name its files where they are now.

    Args:
        runs: Those to run again.
        given: Options that the user names anew; their files are not looked for.

    Raises:
        ConfigError: If a file is nowhere, or only with another content.
    """
    digest_of = cache(digest_of_file)  # hundreds of runs have the same files
    return [_located(run, given, digest_of) for run in runs]


def folder_of_code(runs: Sequence[FoundRun]) -> Path | None:
    """Find the folder that holds the factories of all runs as they were; None for the current one.

    Another folder than the current one counts only with the recorded digest: a record cannot name other code.
    """
    specs = [worker.workload for run in runs for worker in run.measurement.workers[:1]]
    wanted = {(spec.factory, spec.source_sha256) for spec in specs if spec.factory and spec.source_sha256}
    recorded = dict.fromkeys(Path(spec.import_path) for spec in specs if spec.import_path)
    above = dict.fromkeys(folder for run in runs for folder in _above(run))
    if not wanted:
        return None
    for folder in (Path.cwd(), *recorded, *above):
        if all(_holds(folder, str(factory), str(digest)) for factory, digest in wanted):
            return None if folder == Path.cwd() else folder
    return None


def _holds(folder: Path, factory: str, digest: str) -> bool:
    """Whether the module is in that folder itself, with this digest."""
    found = find_module(factory.partition(":")[0], [str(folder)])
    return found is not None and source_sha256(factory, folder) == digest


def _located(run: FoundRun, given: Sequence[str], digest_of: _DigestOf) -> FoundRun:
    cell, config = run.measurement.cell, run.measurement.config
    workload = config.get("workload")
    if not cell.inputs or not isinstance(workload, dict):  # a factory of the user's own reads what it wants
        return run
    found: dict[str, Any] = {}
    if INPUT not in given and any(image.name != SAMPLE for image in cell.inputs):
        typed = workload.get("input")
        names = typed if isinstance(typed, list) else [typed] * len(cell.inputs)
        pairs = zip(cell.inputs, names, strict=False)
        paths = [
            image.name
            if image.name == SAMPLE
            else _find(INPUT, image.name, str(name), image.sha256, run, digest_of)
            for image, name in pairs
        ]
        found["input"] = paths if isinstance(typed, list) else paths[0]
    if WEIGHTS not in given and is_weights_file(cell.weights):
        typed_weights = str(workload.get("weights") or cell.weights)
        digest = run.measurement.weights_file_sha256
        found["weights"] = _find(WEIGHTS, cell.weights, typed_weights, digest, run, digest_of)
    if not found:
        return run
    changed = replace(run.measurement, config={**config, "workload": {**workload, **found}})
    return replace(run, measurement=changed)


def _find(
    option: str, recorded: str, typed: str, digest: str | None, run: FoundRun, digest_of: _DigestOf
) -> str:
    """The path at which a file is with the content that it had.

    Raises:
        ConfigError: If there is none.
    """
    if digest is None:  # an earlier record: nothing tells whether another file is the same
        return recorded
    others: list[tuple[Path, str]] = []
    for path in _candidates(recorded, typed, run):
        now = digest_of(path)
        if now == digest:
            return str(path)
        if now is not None:
            others.append((path, now))
    if others:
        path, now = others[0]
        what = f"is not the file that was measured: {path} has sha256 {now}, the record {digest}"
    else:
        what = f"is neither at {recorded} nor next to the record or in the current folder (sha256 {digest})"
    raise ConfigError(option, typed, f"{what}; give its path with {option}=")


def _candidates(recorded: str, typed: str, run: FoundRun) -> Iterator[Path]:
    """Where it may be, the likeliest first, each once."""
    folders = [*_above(run), Path.cwd()]
    places = [Path(recorded)]
    if not Path(typed).expanduser().is_absolute():
        places += [folder / typed for folder in folders]
    places += [folder / Path(recorded).name for folder in folders]
    yield from dict.fromkeys(places)


def _above(run: FoundRun) -> list[Path]:
    """The record's folder and those around it."""
    if run.folder is None:
        return []
    folder = run.folder.absolute()
    return [folder, *folder.parents[: _LEVELS - 1]]


def digest_of_file(path: Path) -> str | None:
    """The digest of a file; None where there is none that can be read."""
    try:
        return file_sha256(path) if path.is_file() else None
    except OSError:
        return None
