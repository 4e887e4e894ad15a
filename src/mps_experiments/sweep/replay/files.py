"""Find the files of a stored run again: where they were, or in the current folder.

A name such as photo.jpg was typed in some folder. The record holds where the file was and its digest; the
digest decides, so that nothing else of the same name is measured in its place.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mps_experiments.errors import ConfigError
from mps_experiments.record.workload import is_weights_file
from mps_experiments.sweep.export.values import StoredRun, Values
from mps_experiments.workloads.factory import find_module
from mps_experiments.workloads.files import file_sha256
from mps_experiments.workloads.inputs import SAMPLE
from mps_experiments.workloads.sources import source_sha256

INPUT, WEIGHTS = "workload.input", "workload.weights"


def with_files_of_now(runs: Sequence[StoredRun], given: Sequence[str]) -> list[StoredRun]:
    """Let each run name its files where they are now.

    Args:
        runs: Those to run again.
        given: Options that the user names anew; their files are not looked for.

    Raises:
        ConfigError: If a file is nowhere, or only with another content.
    """
    found: dict[tuple[str, str, str | None], str] = {}  # hundreds of runs have the same files

    def find(option: str, recorded: str, digest: str | None) -> str:
        key = (option, recorded, digest)
        if key not in found:
            found[key] = _find(option, recorded, digest)
        return found[key]

    def located(run: StoredRun) -> Values:
        cell, values = run.measurement.cell, Values()
        if INPUT not in given and any(image.name != SAMPLE for image in cell.inputs):
            paths = [
                SAMPLE if image.name == SAMPLE else find(INPUT, image.name, image.sha256)
                for image in cell.inputs
            ]
            values[INPUT] = paths if isinstance(run.values[INPUT], list) else paths[0]
        if WEIGHTS not in given and cell.inputs and is_weights_file(cell.weights):
            values[WEIGHTS] = find(WEIGHTS, cell.weights, run.measurement.weights_file_sha256)
        return values

    return [replace(run, values=run.values | located(run)) for run in runs]


def folder_of_code(runs: Sequence[StoredRun]) -> Path:
    """Find the folder that holds the factories of all runs as they were; the current one if none does.

    Another folder than the current one counts only with the recorded digest: a record cannot name other code.
    """
    specs = [worker.workload for run in runs for worker in run.measurement.workers[:1]]
    wanted = {(spec.factory, spec.source_sha256) for spec in specs if spec.factory and spec.source_sha256}
    folders = [Path.cwd(), *(Path(spec.import_path) for spec in specs if spec.import_path)]
    for folder in dict.fromkeys(folders):
        if all(_holds(folder, factory, digest) for factory, digest in wanted):
            return folder
    return Path.cwd()


def _holds(folder: Path, factory: str, digest: str) -> bool:
    """Tell whether the module is in that folder itself, with this digest."""
    found = find_module(factory.partition(":")[0], [str(folder)])
    return found is not None and source_sha256(factory, folder) == digest


def _find(option: str, recorded: str, digest: str | None) -> str:
    """Return the path at which a file is with the content that it had.

    Raises:
        ConfigError: If there is none.
    """
    if digest is None:  # an earlier record: nothing tells whether another file is the same
        return recorded
    what = f"is neither at {recorded} nor in the current folder (sha256 {digest})"
    for path in (Path(recorded), Path.cwd() / Path(recorded).name):
        try:
            now = file_sha256(path)
        except OSError:
            continue
        if now == digest:
            return str(path)
        what = f"is not the file that was measured: {path} has sha256 {now}, the record {digest}"
    raise ConfigError(option, Path(recorded).name, f"{what}; give its path with {option}=")
