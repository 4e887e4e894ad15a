"""An exported experiment gives the same plans, byte for byte, in conf/experiment and with --config-dir."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from PIL import Image

from mps_experiments.composition import parse
from mps_experiments.config import NO_LONGER, Config, conf_dir
from mps_experiments.errors import ConfigError
from mps_experiments.export.experiment import Wanted, cells_of, experiment_of, place, wanted_of
from mps_experiments.export.values import frozen, plain
from mps_experiments.lookup import FoundRun
from mps_experiments.machine.gpus import FixedProbe
from mps_experiments.plan import build_plan
from mps_experiments.record import read_measurement, write_measurement
from tests.fakes.plans import FAKE_GPU
from tests.records import make_measurement

FACTORY = "workload.factory=tests.fakes.moody:build"


def plans(cells: Sequence[Config]) -> list[str]:
    """Each plan as JSON; the folder is given, so all of it must agree."""
    probe = FixedProbe((FAKE_GPU,))
    return sorted(
        json.dumps(asdict(build_plan(cell, probe, Path("/runs"))), sort_keys=True, default=str)
        for cell in cells
    )


def stored(folder: Path, cells: Sequence[Config]) -> list[FoundRun]:
    """Records of these cells, as they come back from disk."""
    found = []
    for number, each in enumerate(cells):
        config = OmegaConf.to_container(OmegaConf.structured(each), enum_to_str=True)
        assert isinstance(config, dict)
        fault = each.fault.kind.value
        made = make_measurement(f"record-{number}", procs=each.procs, fault=fault)
        made = replace(made, cell=made.cell.moved(times=each.times))
        path = folder / str(number) / "measurement.json"
        write_measurement(replace(made, config={str(key): value for key, value in config.items()}), path)
        found.append(FoundRun(measurement=read_measurement(path), folder=path.parent))
    return found


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "it's b.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)


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
    "one image": ["workload=ssdlite", "workload.input=a.png"],
    "a fault": ["fault=server_kill", "fault.trials=3", "fault.at=0.25", "procs=2"],
    "a sweep": ["-m", "procs=1,2,4", "mps=off,on", "times=5,10", "repeat=0,1"],
    "a sweep of faults": ["-m", "fault=none,kill,oom", "mps=off,on", "procs=2"],
    "a sweep of models": ["-m", "workload.model=resnet50,vit_b_16", "workers.verbose=true,false"],
    "a sweep of lists": ["-m", "workload.input=[a.png],[a.png,sample],sample"],
    "a sweep of options": ["-m", "workload=custom", FACTORY, "workload.options={a:1},{a:'x y',b:null}"],
    "an experiment": ["experiment=packing"],
}


@pytest.mark.usefixtures("images")
@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS.keys())
def test_the_same_plans_come_back(tmp_path: Path, arguments: list[str]) -> None:
    cells = parse(arguments).cells
    wanted = wanted_of(stored(tmp_path, cells), drop_unknown=False)
    sheet = experiment_of(wanted, "mine")
    place(sheet, tmp_path / "elsewhere")
    tree = tmp_path / "conf"
    shutil.copytree(conf_dir(), tree)
    place(sheet, tree)
    for where in (["--config-dir", str(tmp_path / "elsewhere")], ["--config-path", str(tree)]):
        request = parse([*where, *sheet.arguments])
        assert plans(request.cells) == plans(cells)
        assert request.multirun == ("-m" in arguments or "experiment=packing" in arguments)


def test_with_every_option_written_the_same_plans_come_back(tmp_path: Path) -> None:
    cells = parse(["-m", "procs=1,2", "mps=off,on", "fault.at=0.25"]).cells
    sheet = experiment_of(wanted_of(stored(tmp_path, cells), drop_unknown=False), "mine", every_option=True)
    assert "warmup: auto" in sheet.text
    place(sheet, tmp_path)
    assert plans(parse(["--config-dir", str(tmp_path), *sheet.arguments]).cells) == plans(cells)


@pytest.mark.usefixtures("images")
def test_the_cells_of_a_sweep_come_in_their_order(tmp_path: Path) -> None:
    grid = ["times=10,5", "procs=2,1", "mps=on,off", "order=as_given"]
    cells = parse(["-m", *grid, "workload=maskrcnn"]).cells  # the model that ran is written down
    sheet = experiment_of(wanted_of(stored(tmp_path, cells), drop_unknown=False), "mine")
    place(sheet, tmp_path)
    found = parse(["--config-dir", str(tmp_path), *sheet.arguments]).cells
    assert list(map(plain, found)) == list(map(plain, cells))


def test_the_numbers_of_a_sweep_whose_order_was_drawn_are_sorted(tmp_path: Path) -> None:
    cells = parse(["-m", "procs=4,1,2", "times=9,3"]).cells
    grid = wanted_of(stored(tmp_path, cells), drop_unknown=False).grid
    assert grid.axes == {"procs": (1, 2, 4), "times": (3, 9)}


def test_a_twin_is_no_cell_of_its_own(tmp_path: Path) -> None:
    cells = parse(["-m", "procs=1,2", "repeat=0,1", "precision=0.1"]).cells
    runs = stored(tmp_path, cells)
    one = runs[0].measurement
    twin = replace(runs[0], measurement=replace(one, record_id="t", cell=one.cell.moved(twin=1)))
    wanted = wanted_of([*runs, twin], drop_unknown=False)
    assert (len(wanted.measurements), wanted.grid.axes) == (4, {"procs": (1, 2), "repeat": (0, 1)})
    assert wanted_of([twin], drop_unknown=False).grid.common["procs"] == 1


def test_options_that_only_refused_noise_are_not_missed(tmp_path: Path) -> None:
    (run,) = stored(tmp_path, [Config()])
    config = run.measurement.config
    config["validity"] |= {name.partition(".")[2]: 0.5 for name in NO_LONGER}
    assert wanted_of([run], drop_unknown=False).dropped == ()


def fault_runs(tmp_path: Path) -> list[FoundRun]:
    """A cell with a fault: its one-process run, and two trials."""
    (cell,) = parse(["fault=kill", "procs=2", "fault.trials=2"]).cells
    (alone,) = parse(["procs=1", "fault.trials=2"]).cells
    reference, *trials = stored(tmp_path, [alone, cell, cell])
    return [replace(reference, folder=tmp_path / "reference"), *trials]


def kinds(wanted: Wanted) -> list[tuple[object, object]]:
    return [(cell["fault.kind"], cell["procs"]) for cell in cells_of(wanted.grid)]


def test_the_one_process_run_that_a_fault_makes_by_itself_is_no_cell(tmp_path: Path) -> None:
    runs = fault_runs(tmp_path)
    assert kinds(wanted_of(runs, drop_unknown=False)) == [("kill", 2)]
    in_mlflow = [replace(run, folder=None) for run in runs]
    assert kinds(wanted_of(in_mlflow, drop_unknown=False)) == [("kill", 2)]
    assert kinds(wanted_of(runs[:1], drop_unknown=False)) == [("none", 1)]


def test_a_key_of_another_version_is_refused_by_name_or_dropped(tmp_path: Path) -> None:
    (run,) = stored(tmp_path, [Config(procs=3)])
    config = run.measurement.config | {"sm_partitions": 4}
    config["trace"] = {"min_s": 0.1}
    other = replace(run, measurement=replace(run.measurement, config=config))
    with pytest.raises(ConfigError, match=r"it has sm_partitions, unknown here, and lacks trace.iterations"):
        wanted_of([other], drop_unknown=False)
    wanted = wanted_of([other], drop_unknown=True)
    assert (wanted.grid.common["procs"], wanted.missing) == (
        3,
        ("trace.iterations=3", "trace.timeout_s=120.0"),
    )
    assert (
        "# The record says nothing of trace.iterations=3, trace.timeout_s=120.0: today's defaults."
        in experiment_of(wanted, "x").text
    )


def test_a_value_that_this_version_does_not_take_is_named(tmp_path: Path) -> None:
    (run,) = stored(tmp_path, [Config()])
    config = run.measurement.config | {"procs": "many"}
    other = replace(run, measurement=replace(run.measurement, config=config))
    with pytest.raises(ConfigError, match="procs"):
        experiment_of(wanted_of([other], drop_unknown=False), "x")


@pytest.mark.parametrize("text", ["${oc.env:HOME}", "a\\\\${x}", "\\\\\\\\${procs}", "${"])
def test_what_looks_like_an_interpolation_in_a_record_is_only_a_text(tmp_path: Path, text: str) -> None:
    (run,) = stored(tmp_path, [Config()])
    workload = run.measurement.config["workload"] | {"input": text}
    other = replace(run, measurement=replace(run.measurement, config={"workload": workload}))
    sheet = experiment_of(wanted_of([other], drop_unknown=False), "x")
    place(sheet, tmp_path)
    (cell,) = parse(["--config-dir", str(tmp_path), *sheet.arguments]).cells
    assert cell.workload.input == text


def test_no_run_at_all_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="no record of it can be read"):
        wanted_of([], drop_unknown=False)


def test_an_option_may_be_taken_from_the_first_run_for_all(tmp_path: Path) -> None:
    cells = parse(["-m", "repeat=1,2", "procs=1,2"]).cells
    wanted = wanted_of(stored(tmp_path, cells), drop_unknown=False, without=("repeat",))
    assert wanted.grid.axes == {"procs": (1, 2)}
    assert len({frozen(cell) for cell in cells_of(wanted.grid)}) == 2
    assert len(wanted.measurements) == 4
