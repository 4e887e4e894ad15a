"""Flags are read before Hydra sees them: what it would fill in, and one line for a mistake."""

from pathlib import Path

import pytest
from hydra import __version__ as hydra_version

from mps_experiments import __version__
from mps_experiments.config.flags import read_flags
from mps_experiments.config.schema import CONFIG_NAME, conf_dir
from mps_experiments.errors import ConfigError


def test_what_hydra_would_fill_in_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    args = read_flags(["-m", "procs=1,2"])
    assert (args.multirun, args.overrides, args.config_dir) == (True, ["procs=1,2"], None)
    assert (args.config_path, args.config_name) == (str(conf_dir().absolute()), CONFIG_NAME)
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert read_flags(["--config-dir", "mine"]).config_dir == str(tmp_path / "mine")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--nope"], "--nope: not understood here; --help lists the flags"),
        (["--procs"], "--procs: not understood here; write for example procs=1"),
        (["--procs=2"], "--procs=2: not understood here; options have no dashes: procs=2"),
        (["--resolve"], "--resolve: works only with --cfg or --help"),
        (["--config-dir=/nope"], "--config-dir=/nope: no such folder"),
        (["--config-path=/nope"], "--config-path=/nope: no such folder"),
        (["--procs", "2"], "--procs: not understood here; options have no dashes: procs=2"),
        (["procs=2", "-m", "times=5"], "times=5: not understood here; all option=value belong together"),
        (["-m", "--cfg", "job"], "--multirun --cfg: these cannot be combined"),
        (["--cfg", "nope"], "--cfg/-c: invalid choice: 'nope'"),
        (["--config-path", "."], "--config-path=.: give the whole path: /"),
        (["--hydra-help", "procs=2"], "--hydra-help: stands alone; leave out the options"),
        (["--config-name", "nope"], "--config-name=nope: no such file in "),
        (["--config-name", "n" * 300], "--config-name=nnn"),
        (["--config-dir", "${x}"], "--config-dir=${x}: no such folder"),
        (["--config-dir", "n" * 300], "--config-dir=nnn"),
    ],
)
def test_a_mistake_with_a_flag_is_told_in_one_line(arguments: list[str], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_flags(arguments)
    told = str(caught.value)
    assert told.startswith(line)
    assert "\n" not in told


def test_the_version_is_that_of_this_program(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        read_flags(["--version"])
    assert capsys.readouterr().out == f"mps_experiments {__version__}, Hydra {hydra_version}\n"


def test_a_folder_that_hydra_would_read_otherwise_is_refused(tmp_path: Path) -> None:
    (tmp_path / "${x}").mkdir()
    with pytest.raises(
        ConfigError, match=r"Hydra would replace the .* in its path; give a folder without it"
    ):
        read_flags(["--config-dir", str(tmp_path / "${x}")])
