"""Find the files of a stored run again: where they were, next to the record, or in the current folder.

A name such as photo.jpg was typed in some folder. The record holds where the file was and its digest; the
digest decides, so that nothing else of the same name is measured in its place.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from mps_experiments.errors import ConfigError
from mps_experiments.record.workload import is_weights_file
from mps_experiments.sweep.export.values import StoredRun, Values
from mps_experiments.workloads.factory import find_module
from mps_experiments.workloads.files import file_sha256
from mps_experiments.workloads.inputs import SAMPLE
from mps_experiments.workloads.sources import source_sha256

INPUT, WEIGHTS = "workload.input", "workload.weights"
_DigestOf = Callable[[Path], str | None]
_LEVELS = 6  # folders above a record: outputs/DATE/TIME/RUN/trial, and the one that outputs/ is in


def with_files_of_now(runs: Sequence[StoredRun], given: Sequence[str]) -> list[StoredRun]:
    """Let each run name its files where they are now.

    Args:
        runs: Those to run again.
        given: Options that the user names anew; their files are not looked for.

    Raises:
        ConfigError: If a file is nowhere, or only with another content.
    """
    digest_of = cache(_digest_of)  # hundreds of runs have the same files
    return [replace(run, values=run.values | _located(run, given, digest_of)) for run in runs]


def folder_of_code(runs: Sequence[StoredRun]) -> Path:
    """Find the folder that holds the factories of all runs as they were; the current one if none does.

    Another folder than the current one counts only with the recorded digest: a record cannot name other code.
    """
    specs = [worker.workload for run in runs for worker in run.measurement.workers[:1]]
    wanted = {(spec.factory, spec.source_sha256) for spec in specs if spec.factory and spec.source_sha256}
    recorded = [Path(spec.import_path) for spec in specs if spec.import_path]
    for folder in dict.fromkeys([Path.cwd(), *recorded, *(each for run in runs for each in _above(run))]):
        if all(_holds(folder, factory, digest) for factory, digest in wanted):
            return folder
    return Path.cwd()


def _holds(folder: Path, factory: str, digest: str) -> bool:
    """Tell whether the module is in that folder itself, with this digest."""
    found = find_module(factory.partition(":")[0], [str(folder)])
    return found is not None and source_sha256(factory, folder) == digest


def _located(run: StoredRun, given: Sequence[str], digest_of: _DigestOf) -> Values:
    cell, typed, found = run.measurement.cell, run.values[INPUT], Values()
    find = partial(_find, run, digest_of)
    if INPUT not in given and any(image.name != SAMPLE for image in cell.inputs):
        names = typed if isinstance(typed, list) else [typed]
        paths = [
            SAMPLE if image.name == SAMPLE else find(INPUT, image.name, str(name), image.sha256)
            for image, name in zip(cell.inputs, names, strict=False)
        ]
        found[INPUT] = paths if isinstance(typed, list) else paths[0]
    if WEIGHTS not in given and cell.inputs and is_weights_file(cell.weights):
        digest = run.measurement.weights_file_sha256
        found[WEIGHTS] = find(WEIGHTS, cell.weights, str(run.values[WEIGHTS]), digest)
    return found


def _find(
    run: StoredRun, digest_of: _DigestOf, option: str, recorded: str, typed: str, digest: str | None
) -> str:
    """Return the path at which a file is with the content that it had.

    Raises:
        ConfigError: If there is none.
    """
    if digest is None:  # an earlier record: nothing tells whether another file is the same
        return recorded
    other = ""
    for path in _candidates(run, recorded, typed):
        if (now := digest_of(path)) == digest:
            return str(path)
        if now is not None and not other:
            other = f"is not the file that was measured: {path} has sha256 {now}, the record {digest}"
    nowhere = f"is neither at {recorded} nor next to the record or in the current folder (sha256 {digest})"
    raise ConfigError(option, typed, f"{other or nowhere}; give its path with {option}=")


def _candidates(run: StoredRun, recorded: str, typed: str) -> Iterator[Path]:
    """Yield where it may be, the likeliest first."""
    folders = [*_above(run), Path.cwd()]
    yield Path(recorded)
    if not Path(typed).expanduser().is_absolute():
        yield from (folder / typed for folder in folders)
    yield from (folder / Path(recorded).name for folder in folders)


def _above(run: StoredRun) -> list[Path]:
    """Return the record's folder and those around it."""
    if run.folder is None:
        return []
    folder = run.folder.absolute()
    return [folder, *folder.parents[: _LEVELS - 1]]


def _digest_of(path: Path) -> str | None:
    """Return the digest of a file; None where there is none that can be read."""
    try:
        return file_sha256(path) if path.is_file() else None
    except OSError:
        return None
