"""What the command line vouches for, and what is refused without its word; tests/hostile has the attacks."""

import re
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from mps_experiments.config.cells import parse
from mps_experiments.config.trust import Trust, trust_in
from mps_experiments.errors import ConfigError

SHARED = "# @package _global_\nworkload: {kind: custom, factory: 'mine:build'}\n"


def trust(*overrides: str) -> Trust:
    parsed = []
    for text in overrides:
        (override,) = OverridesParser.create().parse_overrides([text])
        override.input_line = text
        parsed.append(override)
    return trust_in(parsed)


@pytest.mark.parametrize(
    ("overrides", "vouched"),
    [
        ([], Trust()),
        (["++allow_code=True"], Trust(allow_code=True)),
        (["allow_code='true'"], Trust(allow_code=True)),
        (["allow_code=true", "allow_code=false"], Trust()),
        (["hydra.sweeper.params.allow_code=true"], Trust()),
        (["workload.factory=a:b"], Trust(factories=frozenset({"a:b"}))),
        (["+workload.factory=a:b,'c:d'"], Trust(factories=frozenset({"a:b", "c:d"}))),
        (["workload.model=a:b"], Trust()),
    ],
)
def test_the_plain_words_of_the_command_line_vouch_and_the_later_counts(
    overrides: list[str], vouched: Trust
) -> None:
    assert trust(*overrides) == vouched


@pytest.mark.parametrize(
    "override",
    [
        "hydra.run.dir=../beside",
        "hydra.sweep.dir=/data/sweeps",
        "hydra.sweep.subdir=a/b",
        "hydra.sweep.subdir=${workload.seed}",
        "hydra/job_logging=default",
        "workload.factory=json:loads",
    ],
)
def test_what_is_on_the_list_or_shipped_or_typed_needs_no_allowance(override: str) -> None:
    assert parse([override]).cells


@pytest.mark.parametrize(
    "setting",
    ["verbose=true", "job.chdir=true", "job.name=x", "output_subdir=notes", "sweeper.max_batch_size=3"],
)
def test_every_other_setting_of_hydra_needs_allow_code(setting: str) -> None:
    with pytest.raises(ConfigError, match="is an option of Hydra, which can run code; if you trust it, add"):
        parse([f"hydra.{setting}"])
    assert parse([f"hydra.{setting}", "allow_code=true"]).cells


def test_a_setting_deep_in_hydras_part_is_found_whatever_package_it_comes_through(tmp_path: Path) -> None:
    (tmp_path / "tracking").mkdir()
    (tmp_path / "tracking" / "mine.yaml").write_text("# @package hydra.job.env_set\nLD_PRELOAD: evil.so\n")
    with pytest.raises(ConfigError, match=r"hydra\.job\.env_set\.LD_PRELOAD=evil\.so is an option of Hydra"):
        parse([f"--config-dir={tmp_path}", "tracking=mine"])


@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        ("hydra.sweep.subdir=..", "must be the name of a folder below hydra.sweep.dir"),
        ("hydra.sweep.subdir=''", "must be the name of a folder below hydra.sweep.dir"),
        ("hydra.sweep.subdir=a/../../b", "must be the name of a folder below hydra.sweep.dir"),
        ("hydra.sweep.subdir=${workload.model} workload.model='/x',resnet18", "below hydra.sweep.dir"),
        ("hydra.sweep.dir='a\nb'", "must be a path of printable characters"),
        ("hydra.sweep.dir=${nope}", "Interpolation key 'nope' not found"),
        ("hydra.sweep.dir=''", "is empty; write . for the current folder"),
    ],
)
def test_a_folder_that_cannot_be_or_leads_elsewhere_is_refused(overrides: str, why: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(why)):
        parse(["-m", *overrides.split(" ")])


def test_an_experiment_that_names_a_factory_runs_with_allow_code_or_with_the_same_typed(
    tmp_path: Path,
) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(SHARED)
    chosen = [f"--config-dir={tmp_path}", "experiment=mine"]
    with pytest.raises(ConfigError, match=r"workload\.factory=mine:build names code to run"):
        parse(chosen)
    for word in ("allow_code=true", "workload.factory=mine:build"):
        (cell,) = parse([*chosen, word]).cells
        assert cell.workload.factory == "mine:build"


def test_the_environment_can_be_read_with_allow_code_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE", "cuda:3")
    (cell,) = parse(["allow_code=true", "device=${oc.env:WHERE}"]).cells
    assert cell.device == "cuda:3"
    with pytest.raises(ConfigError, match=r'WHERE would be copied into the record; .* option="\$NAME"'):
        parse(["device=${oc.env:WHERE}"])
