"""Plans made from a configuration with some fields set, or why they are refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mps_experiments.config.schema import Config
from mps_experiments.errors import ConfigError
from mps_experiments.machine.gpus import FixedProbe
from mps_experiments.record.machine import Gpu
from mps_experiments.run.plan import RunPlan, build_plan

GPU = Gpu(index=0, uuid="GPU-1", name="NVIDIA H100", memory_total_bytes=80 * 10**9)
ON_GPU, ON_CPU = FixedProbe((GPU,)), FixedProbe()
ROOT, SOMEBODY = 0, 1000


def config_with(**values: Any) -> Config:
    """A configuration with some fields set; a double underscore goes into a group."""
    config = Config()
    groups = dict[str, dict[str, Any]]()
    for name, value in values.items():
        group, _, field = name.rpartition("__")
        groups.setdefault(group, {})[field] = value
    given = groups.pop("", {})
    return replace(
        config, **given, **{name: replace(getattr(config, name), **groups[name]) for name in groups}
    )


def one(name: str, value: object) -> dict[str, Any]:
    """One field as keywords."""
    return {name: value}


def planned(probe: FixedProbe = ON_CPU, user_id: int = SOMEBODY, **values: Any) -> RunPlan:
    return build_plan(config_with(**values), probe, Path("/run"), user_id)


def refused(probe: FixedProbe = ON_CPU, user_id: int = SOMEBODY, **values: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        planned(probe, user_id, **values)
    assert "\n" not in str(caught.value)
    return str(caught.value)
