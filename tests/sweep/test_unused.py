"""What is said of stored runs that do not count."""

from dataclasses import replace

from mps_experiments.run.fingerprint import Fingerprint
from mps_experiments.sweep.unused import unused_line

CELLS = [
    Fingerprint(
        configuration={"model": "resnet50", "mps": "off", "procs": procs, "window_s": 2.0, "repeat": 0},
        circumstances={
            "code": "0.1.0 aa",
            "host": "vm",
            "gpu": "cpu",
            "driver": None,
            "packages": {"torch": "2.11"},
        },
    )
    for procs in (1, 2)
]


def moved(number: int = 0, **changes: object) -> Fingerprint:
    own = CELLS[number]
    return replace(
        own,
        configuration={name: changes.get(name, value) for name, value in own.configuration.items()}
        | {"repeat": 3},
        circumstances={name: changes.get(name, value) for name, value in own.circumstances.items()},
    )


def test_another_gpu_is_named_rather_than_what_follows_from_it() -> None:
    other = {"gpu": "NVIDIA H200 GPU-12", "host": "big", "driver": "580.1", "code": "0.1.0 bb"}
    line = unused_line([(moved(0, **other), 40), (moved(1, procs=4, **other), 12)], CELLS)
    assert line == "52 stored runs are not used: they differ in GPU (NVIDIA H200 against none)"


def test_two_gpus_of_one_name_are_told_apart() -> None:
    here = [replace(each, circumstances=each.circumstances | {"gpu": "NVIDIA H200 GPU-1"}) for each in CELLS]
    line = unused_line([(moved(gpu="NVIDIA H200 GPU-2"), 1)], here)
    assert line == "1 stored run is not used: it differs in GPU (NVIDIA H200 GPU-2 against NVIDIA H200 GPU-1)"


def test_of_many_values_three_are_named() -> None:
    here = [replace(each, circumstances=each.circumstances | {"gpu": "NVIDIA H200 GPU-0"}) for each in CELLS]
    line = unused_line([(moved(gpu=f"NVIDIA H200 GPU-{number}"), 2) for number in range(1, 10)], here)
    assert line == (
        "18 stored runs are not used: they differ in GPU (NVIDIA H200 GPU-1, NVIDIA H200 GPU-2, "
        "NVIDIA H200 GPU-3 and 6 more against NVIDIA H200 GPU-0)"
    )


def test_each_run_counts_for_its_main_difference() -> None:
    left = [
        (moved(code="0.1.0 bb"), 7),
        (moved(window_s=5.0), 5),
        (moved(packages={"torch": "2.10"}), 2),
        (moved(procs=16), 1),
    ]
    assert unused_line(left, CELLS) == (
        "15 stored runs are not used: 7 differ in code (0.1.0 bb against 0.1.0 aa); "
        '5 differ in window_s (5.0 against 2.0); 2 differ in packages ({"torch": "2.10"} against '
        '{"torch": "2.11"}); 1 in something else'
    )


def test_runs_of_another_model_are_not_counted() -> None:
    assert unused_line([(moved(model="vit_b_16"), 9)], CELLS) == ""
    assert unused_line([], CELLS) == ""
