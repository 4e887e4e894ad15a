"""The worker as it is described, and where it prints."""

import os
import pickle
import sys
from pathlib import Path

from mps_experiments.workers.child import _print_into
from tests.workers.conftest import MakeSpecs


def test_a_worker_is_data_that_crosses_to_its_process(make_specs: MakeSpecs) -> None:
    (spec,) = make_specs("small")
    assert pickle.loads(pickle.dumps(spec)) == spec  # noqa: S301


def test_all_that_is_printed_is_in_the_file_also_what_c_libraries_print(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        _print_into(str(tmp_path / "log"))
        sys.stdout.write("to standard output\n")
        sys.stderr.write("to standard error\n")
        os.write(2, b"by a C library\n")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert (tmp_path / "log").read_text().splitlines() == [
        "to standard output",
        "to standard error",
        "by a C library",
    ]
