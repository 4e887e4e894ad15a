"""An exported experiment gives the same plans, byte for byte, in conf/experiment and with --config-dir."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from omegaconf import OmegaConf
from PIL import Image

from mps_experiments.config.cells import parse
from mps_experiments.config.schema import Config
from mps_experiments.errors import ConfigError
from mps_experiments.machine.gpus import FixedProbe
from mps_experiments.record.workload import ImageInput
from mps_experiments.run.plan import build_plan
from mps_experiments.sweep.export.experiment import Experiment, experiment_of
from mps_experiments.sweep.export.values import StoredRun, stored_run
from tests.fakes.plans import FAKE_GPU
from tests.records import MACHINE, make_measurement

FACTORY = "workload.factory=tests.fakes.moody:build"


def plans(cells: Sequence[Config]) -> list[str]:
    """Each plan as JSON; the folder is given, so all of it must agree."""
    probe = FixedProbe((FAKE_GPU,))
    return sorted(
        json.dumps(asdict(build_plan(cell, probe, Path("/runs"))), sort_keys=True, default=str)
        for cell in cells
    )


def stored(cells: Sequence[Config], **more: Any) -> list[StoredRun]:
    """Runs of these cells, with what JSON makes of their configurations."""
    found = []
    for number, each in enumerate(cells):
        config = OmegaConf.to_container(OmegaConf.structured(each), enum_to_str=True)
        assert isinstance(config, dict)
        config = json.loads(json.dumps(config)) | more
        found.append(stored_run(replace(make_measurement(f"record-{number}", inputs=()), config=config)))
    return found


def composed(experiment: Experiment, folder: Path, flag: str = "--config-dir") -> list[Config]:
    requests = [parse([flag, str(folder), *command]) for command in experiment.commands]
    return [cell for request in requests for cell in request.cells]


COMMANDS = {
    "the defaults": [],
    "a torchvision model": [
        *("workload.model=retinanet_resnet50_fpn", "procs=3", "mps=off", "workers.warmup=0"),
        *("validity.output_rtol=1e-7", "gpu_wait_s=5", "device=cpu", "workers.start_method=spawn"),
    ],
    "a custom workload": [
        *("workload=custom", FACTORY, "+workload.options.text='${not.an.interpolation}'".replace("$", r"\$")),
        *("+workload.options.deep={a:[1,2.5,null,true,'on','1e3','']}", "+workload.options.quote='it\\'s'"),
    ],
    "a list of images": ["workload=resnet50", 'workload.input=[a.png,"it\'s b.png",sample]'],
    "a fault": ["fault=server_kill", "fault.trials=3", "fault.at=0.25", "procs=2"],
    "a sweep": ["-m", "procs=1,2", "mps=off,on", "times=5,auto"],
    "a sweep of faults": ["-m", "fault=none,kill", "mps=off,on", "procs=2"],
    "a sweep of models": ["-m", "workload.model=resnet50,vit_b_16"],
    "a sweep of lists": ["-m", "workload.input=[a.png],[a.png,sample],sample"],
    "a sweep of options": ["-m", "workload=custom", FACTORY, "workload.options={a:1},{a:'x y',b:null}"],
    "a sweep of factories": ["-m", "workload=custom", f"{FACTORY},tests.fakes.attaching:build"],
}


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS.keys())
def test_the_same_plans_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "it's b.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    cells = parse(arguments).cells
    experiment = experiment_of(stored(cells), "mine")
    assert len(experiment.commands) == 1
    experiment.place(tmp_path / "elsewhere")
    assert plans(composed(experiment, tmp_path / "elsewhere")) == plans(cells)


def test_settings_that_are_no_full_product_are_a_command_each(tmp_path: Path) -> None:
    cells = parse(["-m", "procs=1,2", "mps=off,on", "workload=custom", FACTORY]).cells[:3]
    experiment = experiment_of(stored(cells), "mine")
    assert [command[1:] for command in experiment.commands] == [
        (FACTORY, "mps=off", "procs=1") if n == 0 else (FACTORY, *rest)
        for n, rest in enumerate([(), ("mps=on", "procs=1"), ("mps=off", "procs=2")])
    ]
    experiment.place(tmp_path)
    assert plans(composed(experiment, tmp_path)) == plans(cells)


def test_it_holds_what_is_no_default_the_values_that_occur_and_where_they_come_from() -> None:
    cells = parse(["-m", "procs=4,1,2", "fault=none,kill", "mps=off", "window=fixed"]).cells
    image = ImageInput(name="/data/a.jpg", sha256="ab" * 32)
    (first, *others) = stored(cells)
    measured = replace(first.measurement, weights_file_sha256="cd", machine=MACHINE)
    first = replace(first, measurement=replace(measured, cell=replace(measured.cell, inputs=(image,))))
    text = experiment_of([first, *others], "mine").text
    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert comments == [
        "# @package _global_",
        "# Run it as DIR/experiment/mine.yaml with:",
        "# python -m mps_experiments --config-dir DIR experiment=mine",
        "# Measured 2023-11-14 on NVIDIA H100, driver 580.1, mps_experiments 0.1.0 (c0ffee).",
        f"# /data/a.jpg had sha256 {'ab' * 32}",
        "# random had sha256 cd",
    ]
    params = {"procs": "1,2,4", "fault": "none,kill"}
    assert yaml.safe_load(text) == {
        "mps": {"enabled": False},
        "window": "fixed",
        "hydra": {"mode": "MULTIRUN", "sweeper": {"params": params}},
    }


def test_what_the_record_does_not_tell_is_named() -> None:
    runs = [stored_run(replace(make_measurement(inputs=()), config={"procs": 3}))]
    (line,) = [line for line in experiment_of(runs).text.splitlines() if "says nothing" in line]
    assert "trace.iterations=3" in line
    assert "procs=" not in line


def test_a_value_that_this_version_does_not_take_is_named() -> None:
    with pytest.raises(ConfigError, match="procs"):
        experiment_of(stored([Config()], procs="many"))


def test_what_looks_like_an_interpolation_in_a_record_is_only_a_text(tmp_path: Path) -> None:
    texts = ["${oc.env:HOME}", "a\\\\${x}", "\\\\\\\\${procs}", "${"]
    experiment = experiment_of(stored([Config()], workload={"input": texts}))
    experiment.place(tmp_path)
    assert [cell.workload.input for cell in composed(experiment, tmp_path)] == [texts]


@pytest.mark.parametrize("value", ["http://me:secret@host/x", "s3://bucket/a?token=secret"])
def test_a_password_is_not_written(value: str) -> None:
    with pytest.raises(ConfigError, match=r"workload\.options: it has an address with a password") as caught:
        experiment_of(stored([Config()], workload={"options": {"url": value}}))
    assert "secret" not in str(caught.value)


def test_a_name_that_composes_something_else_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be written as experiment=quickstart"):
        experiment_of(stored(parse(["procs=3"]).cells), "quickstart")
