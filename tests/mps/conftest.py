"""The programs under test: the stand-ins everywhere, the real ones where there is a GPU."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mps_experiments.machine.gpus import open_probe
from mps_experiments.mps.control import control_program
from mps_experiments.mps.daemon import DaemonTimeouts, MpsDaemon
from tests.fakes.plans import FAKE_GPU, daemon_of_somebody_else, short_folder, use_fakes

NewDaemon = Callable[..., MpsDaemon]


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """Make a folder in which sockets have short paths."""
    with short_folder() as folder:
        yield folder


@pytest.fixture
def fake_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the well-behaved stand-ins."""
    use_fakes(monkeypatch)


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.gpu)])
def gpu_uuid(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the GPU for a daemon, once with the stand-ins and once with the real programs."""
    if request.param == "fake":
        use_fakes(monkeypatch)
        return FAKE_GPU.uuid
    with open_probe() as probe:
        return probe.gpus()[0].uuid


@pytest.fixture
def new_daemon(short_dir: Path, tmp_path: Path) -> NewDaemon:
    """Make daemons that are not started yet, each in a folder of its own."""

    def make(
        gpu_uuid: str = FAKE_GPU.uuid,
        *,
        name: str = "d",
        start_s: float = 10.0,
        command_s: float = 5.0,
        quit_s: float = 3.0,
    ) -> MpsDaemon:
        program = control_program()
        assert program is not None
        folder = short_dir / name
        folder.mkdir()
        return MpsDaemon(
            program=program,
            folder=folder,
            gpu_uuid=gpu_uuid,
            timeouts=DaemonTimeouts(start_s=start_s, command_s=command_s, quit_s=quit_s),
            control_log=tmp_path / f"{name}-control.log",
            server_log=tmp_path / f"{name}-server.log",
        )

    return make


@pytest.fixture
def foreign_daemon(short_dir: Path) -> Iterator[Path]:
    """Start a daemon as somebody else and return its pipe directory. End it afterwards."""
    with daemon_of_somebody_else(short_dir / "foreign"):
        yield short_dir / "foreign"
