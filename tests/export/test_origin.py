"""What an exported experiment says of where it comes from, and the warnings."""

from dataclasses import replace
from typing import Any

from mps_experiments.export.origin import origin_lines, warnings
from mps_experiments.record import Measurement
from mps_experiments.workloads.spec import ImageInput
from tests.records import INVALID, MACHINE, make_measurement


def with_files(*names: str, weights: str = "random", **config: Any) -> Measurement:
    inputs = tuple(ImageInput(name=f"/data/{name.lstrip('/')}", sha256=name * 4) for name in names)
    measurement = make_measurement(inputs=inputs, weights=weights)
    stored = {"workload": {"input": list(names), "weights": weights}, **config}
    return replace(measurement, config=stored, weights_file_sha256="ee")


def test_run_machine_and_version_are_named() -> None:
    (line,) = origin_lines([make_measurement("abc")])
    assert line == "From run abc of 2023-11-14, NVIDIA H100, driver 580.1, mps_experiments 0.1.0 (c0ffee)."


def test_files_are_named_as_they_were_given_with_their_digests() -> None:
    lines = list(origin_lines([with_files("a.jpg", "/b.jpg", weights="w.pth")]))
    assert lines[1:] == [
        "workload.input=a.jpg had sha256 a.jpga.jpga.jpga.jpg",
        "workload.input=/b.jpg had sha256 /b.jpg/b.jpg/b.jpg/b.jpg",
        "workload.weights=w.pth had sha256 ee",
    ]


def test_a_run_that_gave_no_number_is_told_apart() -> None:
    assert list(origin_lines([make_measurement(verdict=INVALID)]))[1] == "No run of it was VALID."


def test_absolute_paths_one_gpu_and_mixed_machines_are_warned_of() -> None:
    one = with_files("a.jpg", "/b.jpg", device="GPU-1")
    other = replace(one, machine=replace(MACHINE, driver_version="581"))
    found = list(warnings([one, other]))
    assert [line.partition(" ")[0] for line in found] == ["workload.input=/b.jpg", "device=GPU-1", "the"]
    assert "different machines" in found[-1]


def test_an_ordinary_run_has_no_warnings() -> None:
    assert list(warnings([make_measurement()])) == []
