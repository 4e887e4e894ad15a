"""Run folders may be anywhere, names are names."""

import pytest

from mps_experiments.composition import parse
from mps_experiments.errors import ConfigError


@pytest.mark.parametrize(
    "override",
    [
        "hydra.run.dir=.",
        "hydra.run.dir=../beside",
        "hydra.sweep.dir=/data/sweeps",
        "hydra.sweep.subdir=a/b",
        "hydra.sweep.subdir=${hydra.job.num}",
        "hydra.sweep.subdir=${hydra:job.num}_${workload.seed}",
        "hydra.output_subdir=null",
        "hydra.output_subdir=notes",
        "hydra.job.name=my_sweep",
        "hydra.verbose=true",
        "hydra.verbose=[hydra,mlflow]",
    ],
)
def test_a_place_that_works_is_taken(override: str) -> None:
    assert parse([override]).cells


@pytest.mark.parametrize(
    ("override", "why"),
    [
        ("hydra.sweep.subdir=..", "must be the name of a folder below hydra.sweep.dir"),
        ("hydra.sweep.subdir=.", "must be the name of a folder below hydra.sweep.dir"),
        ("hydra.sweep.subdir=a/../../b", "must be the name of a folder below hydra.sweep.dir"),
        ("hydra.sweep.subdir=${workload.model}/..", "must be the name of a folder below hydra.sweep.dir"),
        ("hydra.run.dir='a\nb'", "must be a path of printable characters"),
        ("hydra.run.dir=${nope}", "Interpolation key 'nope' not found"),
        ("hydra.job.name=..", "must be a name of at most 200 printable bytes, without /"),
        ("hydra.output_subdir=a/b", "must be a name of at most 200 printable bytes, without /"),
        ("hydra.verbose=[1]", "must be true, false or a list of loggers"),
    ],
)
def test_a_place_that_leads_elsewhere_is_refused(override: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse([override])
    assert why in str(caught.value)


def test_every_cell_of_a_sweep_is_looked_at() -> None:
    with pytest.raises(ConfigError, match=r"below hydra\.sweep\.dir"):
        parse(["-m", "workload.model=resnet18,'/x'", "hydra.sweep.subdir=${workload.model}"])
