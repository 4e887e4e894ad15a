"""``python -m mps_experiments.doctor``: an older Python gets a line, too, before anything is imported."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - a checkout can be started with any Python
    sys.stdout.write(
        "FAIL  Python  %d.%d is too old\n"  # noqa: UP031
        "      -> use Python 3.11 or newer, for example: make PYTHON=python3.12 demo\n" % sys.version_info[:2]
    )
    sys.exit(2)

from mps_experiments.doctor.command import entry_point

if __name__ == "__main__":
    entry_point()
