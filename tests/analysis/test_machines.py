"""Which machine a number is of."""

from dataclasses import replace

from mps_experiments.analysis.machines import Machines, letter, machine_line
from mps_experiments.analysis.panels import panels
from tests.records import GPU, MACHINE, make_measurement
from tests.report_panels import CPU_ONLY, as_runs

TWIN = replace(MACHINE, gpu=replace(GPU, uuid="GPU-87654321-another"))


def test_the_machine_is_one_line() -> None:
    assert machine_line(MACHINE) == (
        f"NVIDIA H100 (80 GiB, {GPU.uuid[:12]}), driver 580.1; a CPU, 3 usable cores; Python 3.11.9, "
        "torch 2.11; mps_experiments 0.1.0; host host"
    )
    assert machine_line(CPU_ONLY).startswith("no GPU: on the CPU; a CPU")


def test_two_gpus_of_one_name_in_hosts_of_one_name_are_two_machines() -> None:
    runs = [make_measurement("one"), make_measurement("two", machine=TWIN)]
    machines = Machines.of(runs)
    assert machines.are_several
    assert [machines.label(run) for run in runs] == ["machine A: ", "machine B: "]
    assert len(panels(as_runs(runs))) == 2
    assert machines.apart(runs) == [[runs[0]], [runs[1]]]


def test_one_machine_is_not_named_with_each_number() -> None:
    runs = [make_measurement("one"), make_measurement("two", procs=2)]
    assert Machines.of(runs).label(runs[1]) == ""
    assert not Machines.of([]).are_several


def test_letters_do_not_end_with_the_alphabet() -> None:
    assert [letter(index) for index in (0, 25, 26)] == ["A", "Z", "#27"]
