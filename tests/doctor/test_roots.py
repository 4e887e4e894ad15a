"""Without a test's folders the doctor looks at the machine itself."""

from pathlib import Path

from mps_experiments.doctor.roots import Roots
from mps_experiments.machine.lock_file import LOCK_FOLDER


def test_the_places_are_those_of_the_kernel_and_of_the_sweeps() -> None:
    assert Roots() == Roots(proc=Path("/proc"), sys=Path("/sys"), dev=Path("/dev"), locks=LOCK_FOLDER)
