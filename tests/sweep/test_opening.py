"""Two sweeps on one GPU through the command: the second refuses or waits, and clears up after the first."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from mps_experiments.machine.gpu_lock import GpuLocks
from mps_experiments.mps.processes import processes_of
from mps_experiments.record.disk import writing_in
from mps_experiments.sweep.preflight import lock_gpus
from tests.conftest import command_of
from tests.fakes.plans import (
    CHECKOUT,
    FAKE_GPU,
    is_running,
    path_with_fakes,
    run_plan,
    running,
    short_folder,
    wait_until,
)
from tests.records import read_json
from tests.sweep.test_sweep import MOODY
from tests.test_death import Scene, measuring
from tests.test_nothing_lost import run, standing_still

DEADLINE_S = 120.0


def another_sweep(scene: Scene, outputs: Path, *arguments: str) -> subprocess.Popen[str]:
    """Another sweep on the GPU of this scene."""
    return subprocess.Popen(
        [
            *[sys.executable, str(CHECKOUT / "tests" / "fakes" / "cli_runner.py")],
            *["procs=1", "times=3", "mps=on", "tracking=none", f"output_dir={outputs}"],
            *["workload=custom", "workload.factory=tests.fakes.attaching:build", "trace.iterations=0"],
            *arguments,
        ],
        cwd=CHECKOUT,
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "src"), *sys.path])}
        | {"TMPDIR": str(scene.temporary), "PATH": path_with_fakes()}
        | {"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "10"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(sweep: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """What a sweep said until it ended; it is ended if it does not in time."""
    try:
        out, err = sweep.communicate(timeout=DEADLINE_S)
    finally:
        sweep.kill()
    return subprocess.CompletedProcess([], sweep.returncode, out, err)


def has_locked(pid: int, name: str) -> bool:
    """Whether a process has a lock file open, of which the name begins so."""
    with contextlib.suppress(OSError):
        return any(path.readlink().suffix == ".lock" and path.readlink().name.startswith(name)
                   for path in Path(f"/proc/{pid}/fd").iterdir())  # fmt: skip
    return False


@dataclass
class Story:
    """What became of a first sweep that was killed, and of those that came while it measured.

    Attributes:
        locked_by: The processes of the first that had the lock file of the GPU open, then those that had
            that of its folder; and `first`, its runner.
        folder: The private folder of the first; `left`: its daemon and server.
        refused: A second sweep.
        third: A third sweep, without the line that says for whom it waits.
    """

    first: int
    locked_by: list[list[int]]
    folder: Path
    left: list[psutil.Process]
    refused: subprocess.CompletedProcess[str]
    third: subprocess.CompletedProcess[str]
    folders_at_the_end: list[Path]
    records: dict[str, int]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The first sweep measures, a second is refused, a third waits; the first and its guardian are killed."""
    outputs = tmp_path_factory.mktemp("story")
    with measuring(outputs, real=False) as scene:
        (folder,) = scene.temporary.glob("mpsx-*")
        left = [psutil.Process(process.pid) for process in processes_of(folder / "pipe")]
        pids = [scene.runner.pid, *(process.pid for process in scene.processes)]
        locked_by = [[pid for pid in pids if has_locked(pid, name)] for name in ("mpsx-GPU", ".sweep")]
        refused = finished(another_sweep(scene, outputs / "second"))
        third = another_sweep(scene, outputs / "third", "gpu_wait_s=600")
        try:
            assert third.stdout is not None
            assert f"in use by another sweep, pid {scene.runner.pid} (python -m" in third.stdout.readline()
            kill_with_its_guardian(scene)
        except BaseException:
            third.kill()
            raise
        return Story(
            first=scene.runner.pid,
            locked_by=locked_by,
            folder=folder,
            left=left,
            refused=refused,
            third=finished(third),
            folders_at_the_end=[*scene.temporary.glob("mpsx-*"), *scene.temporary.glob("pymp-*")],
            records={
                name: len(list((outputs / name).rglob("measurement.json"))) for name in ("second", "third")
            },
        )


def kill_with_its_guardian(scene: Scene) -> None:
    guardian = next(p for p in scene.processes if "mps_experiments.mps.guardian" in command_of(p))
    guardian.kill()
    wait_until(lambda: not is_running(guardian), "the guardian is dead")
    scene.runner.send_signal(signal.SIGKILL)


def test_only_the_runner_itself_holds_the_locks(story: Story) -> None:
    assert story.locked_by == [[story.first], [story.first]]


def test_the_second_sweep_is_refused_with_pid_and_command_of_the_first(story: Story) -> None:
    assert (story.refused.returncode, story.refused.stdout) == (2, "")
    assert re.fullmatch(
        rf"mps_experiments: device={FAKE_GPU.uuid}: in use by another sweep, pid {story.first} "
        r"\(python -m mps_experiments -m times=\S+ .*procs=2 .*\); gpu_wait_s=3600 waits up to an hour\n",
        story.refused.stderr,
    )
    assert story.records["second"] == 0


def test_when_the_first_and_its_guardian_were_killed_the_next_removes_what_is_left_and_runs(
    story: Story,
) -> None:
    assert len(story.left) == 2
    assert story.third.stdout.splitlines()[0] == f"removed what a dead runner left: {story.folder}"
    assert story.third.returncode == 0, story.third
    assert story.third.stderr == ""
    assert story.records["third"] == 1
    assert running(story.left) == []


def test_a_variable_of_the_shell_that_reaches_nobody_is_told_once(story: Story) -> None:
    line = "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=10 of the shell is not passed on: each run sets its own"
    assert story.third.stdout.splitlines().count(line) == 1


def test_nothing_of_either_is_left_but_what_multiprocessing_kept_for_the_one_that_was_killed(
    story: Story,
) -> None:
    assert [path.name[:5] for path in story.folders_at_the_end] == ["pymp-"]


def test_the_gpus_of_all_cells_are_locked_in_one_order_with_the_longest_patience(tmp_path: Path) -> None:
    asked: list[tuple[str, float]] = []

    class Asked(GpuLocks):
        def acquire(self, uuid: str, wait_s: float) -> None:
            asked.append((uuid, wait_s))

    plans = [
        replace(run_plan(tmp_path, gpu=replace(FAKE_GPU, uuid=uuid)), gpu_wait_s=wait_s)
        for uuid, wait_s in (("GPU-c", 0.0), ("GPU-a", 1.0), ("GPU-b", 2.0), ("GPU-a", 5.0))
    ]
    lock_gpus(Asked("a sweep", pytest.fail, tmp_path), plans)
    assert asked == [("GPU-a", 5.0), ("GPU-a", 1.0), ("GPU-b", 2.0), ("GPU-c", 0.0)]


SWEEPER = """
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
class AskingSweeper(BasicSweeper):
    "It is asked for the cells as it goes, for all that this program knows."
"""


def test_a_folder_has_one_sweep_at_a_time_and_others_in_turn(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    again = ("-m", *MOODY, "times=6", "tracking=none", f"hydra.sweep.dir={folder}")
    alone = (*MOODY, "times=6", "tracking=none", f"hydra.run.dir={folder}")
    refused = "another sweep writes there now; name another folder, or wait for it\n"
    with standing_still(tmp_path, f"hydra.sweep.dir={folder}", outputs=folder) as sweep:
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for option, arguments in (("hydra.sweep.dir", again), ("hydra.run.dir", alone)):
            done = run(tmp_path, *arguments)
            assert (done.returncode, done.stderr) == (2, f"mps_experiments: {option}={folder}: {refused}")
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
        code, out, err = sweep.finish()
        assert (code, err) == (0, ""), out
    done = run(tmp_path, *again)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    counts = {path.name: len(read_json(path)["cells"]) for path in folder.glob("sweep*.json")}
    assert counts == {"sweep.1.json": 3, "sweep.json": 1}


def refusals_of_a_sweeper(tmp_path: Path, *arguments: str) -> list[str]:
    """What becomes of the two cells that a sweeper brings as it goes; neither may run."""
    plugins = tmp_path / "hydra_plugins"
    plugins.mkdir()
    (plugins / "asking.py").write_text(SWEEPER)
    with short_folder() as temporary:
        (temporary / "locks").mkdir()
        with GpuLocks("python first.py", pytest.fail, temporary / "locks") as locks:
            locks.acquire(FAKE_GPU.uuid, 0.0)
            done = subprocess.run(
                [
                    *[sys.executable, str(CHECKOUT / "tests" / "fakes" / "cli_runner.py"), "-m", "times=2,3"],
                    *["hydra.sweeper._target_=hydra_plugins.asking.AskingSweeper", "allow_code=true"],
                    *["tracking=none", "workload=custom", "workload.factory=tests.fakes.moody:build"],
                    *["output_dir=mine", *arguments],
                ],
                cwd=tmp_path,
                env=os.environ
                | {"PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "src"), str(tmp_path)])}
                | {"TMPDIR": str(temporary), "PATH": path_with_fakes()},
                capture_output=True,
                text=True,
                timeout=DEADLINE_S,
                check=False,
            )
    refusals = [line for line in done.stdout.splitlines() if "REFUSED" in line]
    assert len(refusals) == 2, done
    assert done.returncode == 1
    assert not list(tmp_path.rglob("measurement.json"))
    return refusals


def test_a_cell_that_a_sweeper_brings_later_is_refused_where_its_gpu_is_in_use(tmp_path: Path) -> None:
    for line in refusals_of_a_sweeper(tmp_path):
        assert f"REFUSED: device={FAKE_GPU.uuid}: in use by another sweep, pid {os.getpid()} (" in line
    assert {path.name for path in tmp_path.iterdir()} == {"hydra_plugins", "mine"}
    assert len(list((tmp_path / "mine").rglob("sweep.json"))) == 1


def test_a_cell_that_a_sweeper_brings_later_is_refused_where_another_sweep_writes(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    with writing_in(folder):
        for line in refusals_of_a_sweeper(tmp_path, f"hydra.sweep.dir={folder}"):
            assert f"REFUSED: hydra.sweep.dir={folder}: another sweep writes there now; name another" in line
    assert not list(tmp_path.rglob("sweep.json"))
