"""The Hydra tree itself: every option composes and says what choosing it means."""

import pytest

from mps_experiments.config.cells import parse
from mps_experiments.config.schema import (
    Config,
    FaultKind,
    NormLayer,
    StartMethod,
    Window,
    WorkloadKind,
    conf_dir,
)
from mps_experiments.record.cell import Times

OPTIONS = sorted(
    path.relative_to(conf_dir()).with_suffix("").parts
    for path in conf_dir().glob("*/*.yaml")
    if path.parent.name != "hydra"
)


def only(*arguments: str) -> Config:
    (cell,) = parse(list(arguments)).cells
    return cell


def grid(*arguments: str) -> list[tuple[str, int, Times]]:
    cells = parse(list(arguments)).cells
    return [("on" if cell.mps.enabled else "off", cell.procs, cell.times) for cell in cells]


def test_every_file_opens_with_a_comment_for_the_person_who_chooses_it() -> None:
    silent = []
    for path in conf_dir().rglob("*.yaml"):
        lines = path.read_text().splitlines()
        comment = lines[1] if lines[0].startswith("# @package") else lines[0]
        silent += [] if comment.startswith("# ") and len(comment) > 20 else [path]
    assert silent == []


def test_every_option_of_every_promised_group_composes() -> None:
    assert {group for group, _ in OPTIONS} == {"mps", "workload", "fault", "tracking", "experiment"}
    assert [option for option in OPTIONS if not parse(["=".join(option)]).cells] == []


def test_the_defaults_of_schema_and_tree_are_one_cell_with_mps_on_and_no_model_named() -> None:
    request = parse([])
    (cell,) = request.cells
    assert not request.multirun
    assert cell == Config()
    assert (cell.mps.enabled, cell.procs, cell.times, cell.device) == (True, 1, 50, "auto")
    assert (cell.workload.kind, cell.workload.model) == (WorkloadKind.torchvision, "auto")
    assert (cell.workers.start_method, cell.tracking.uri) == (StartMethod.forkserver, None)


@pytest.mark.parametrize(
    ("option", "model"),
    [
        ("maskrcnn", "maskrcnn_resnet50_fpn"),
        ("resnet50", "resnet50"),
        ("ssdlite", "ssdlite320_mobilenet_v3_large"),
    ],
)
def test_a_workload_option_names_its_model(option: str, model: str) -> None:
    assert only(f"workload={option}").workload.model == model


@pytest.mark.parametrize("name", ["quickstart", "packing", "seed_table", "fault_table"])
def test_an_experiment_runs_the_model_that_is_named(name: str) -> None:
    for arguments in (["workload=resnet50"], ["workload.model=resnet50"]):
        cells = parse([f"experiment={name}", "fault=none", "times=20", *arguments]).cells
        assert {cell.workload.model for cell in cells} == {"resnet50"}


def test_tracking_and_mps_are_switched_by_words() -> None:
    assert not only("tracking=none").tracking.enabled
    assert only("tracking=server", "tracking.uri=http://host:1").tracking.uri == "http://host:1"
    assert not only("mps=off").mps.enabled  # no truth value of YAML
    assert only("mps=on").mps.enabled


def test_the_seed_table_runs_its_sixteen_cells_in_the_order_of_the_table() -> None:
    expected = [
        (mps, procs, times) for times in (50, 100, 200, 400) for mps in ("off", "on") for procs in (1, 2)
    ]
    assert parse(["experiment=seed_table"]).multirun
    assert grid("experiment=seed_table") == expected
    assert grid("-m", "experiment=seed_table") == expected
    cells = parse(["experiment=seed_table"]).cells
    assert {(cell.window, cell.workload.norm_layer) for cell in cells} == {(Window.fixed, NormLayer.batch)}


def test_the_quickstart_is_four_small_cells_that_also_fit_a_cpu() -> None:
    assert grid("experiment=quickstart") == [
        (mps, procs, "auto") for mps in ("off", "on") for procs in (1, 2)
    ]
    assert {cell.window_s for cell in parse(["experiment=quickstart"]).cells} == {3.0}
    assert {cell.workload.model for cell in parse(["experiment=quickstart"]).cells} == {"auto"}


def test_the_command_line_wins_over_the_grid_of_an_experiment() -> None:
    cells = grid("experiment=quickstart", "procs=1,2,4", "times=7")
    assert cells == [(mps, procs, 7) for mps in ("off", "on") for procs in (1, 2, 4)]


def test_packing_is_four_blocks_of_eight_cells() -> None:
    cells = parse(["experiment=packing"]).cells
    assert {cell.repeat for cell in cells} == {0, 1, 2, 3}
    block = [(cell.mps.enabled, cell.procs) for cell in cells if cell.repeat == 0]
    assert sorted(block) == [(mps, procs) for mps in (False, True) for procs in (1, 2, 4, 8)]
    assert {(cell.times, cell.window_s, cell.window) for cell in cells} == {("auto", 10.0, Window.kept)}


def test_each_kind_of_fault_is_an_option_of_its_group() -> None:
    kinds = {kind.value for kind in FaultKind}
    assert {option for group, option in OPTIONS if group == "fault"} == kinds
    assert {only(f"fault={kind}").fault.kind.value for kind in kinds} == kinds


def test_the_fault_table_tries_every_fault_in_both_states_of_mps() -> None:
    cells = parse(["experiment=fault_table", "times=20"]).cells
    assert {(cell.fault.kind, cell.mps.enabled) for cell in cells} == {
        (kind, enabled) for kind in FaultKind for enabled in (True, False)
    }
    assert len(cells) == 2 * len(FaultKind)
    assert {(cell.procs, cell.times, cell.fault.trials) for cell in cells} == {(2, 20, 5)}
