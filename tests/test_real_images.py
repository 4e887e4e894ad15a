"""Photos as people have them, through the whole command: told, in the record, and measured upright."""

from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from mps_experiments.record.measurement import find_measurements, read_measurement
from mps_experiments.record.verdict import Status
from tests.conftest import Command

SMALL = (
    "workload.model=mobilenet_v3_small",
    *("device=cpu", "mps=off", "procs=1", "times=2", "workers.warmup=1", "trace.iterations=0"),
    *("tracking=none", "report=false"),
)


def test_a_turned_photo_and_a_16_bit_one_are_told_and_recorded(
    tmp_path: Path, mps_experiments: Command
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (64, 48)).save(tmp_path / "turned.jpg", exif=exif)
    Image.fromarray(np.full((48, 64), 4095, np.uint16)).save(tmp_path / "deep.png")
    done = mps_experiments("workload.input=[turned.jpg,deep.png]", *SMALL)
    assert done.returncode == 0, done.stderr
    (path,) = find_measurements(tmp_path / "outputs")
    measurement = read_measurement(path)
    assert measurement.verdict.status is Status.VALID
    turned, deep = measurement.cell.inputs
    assert (turned.width, turned.height, turned.read_as) == (48, 64, "EXIF orientation 6 applied")
    assert (deep.width, deep.height) == (64, 48)
    assert deep.read_as == "16-bit grey with values up to 4095, 65535 is white"
    for image in (turned, deep):
        assert f"workload.input={image.name}: {image.read_as}\n" in done.stdout


def test_a_pattern_is_one_line_with_the_list_that_works(tmp_path: Path, mps_experiments: Command) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (64, 48)).save(tmp_path / name)
    done = mps_experiments("workload.input=*.png", *SMALL)
    assert done.returncode == 2
    assert done.stderr == (
        "mps_experiments: workload.input=*.png: no such file, and a pattern is not expanded; "
        "give the files as a list: 'workload.input=[a.png,b.png]'\n"
    )
