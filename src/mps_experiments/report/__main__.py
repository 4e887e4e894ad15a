"""``python -m mps_experiments.report``."""

from mps_experiments.cli import report

if __name__ == "__main__":
    report()
