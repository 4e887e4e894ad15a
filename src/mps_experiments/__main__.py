"""``python -m mps_experiments``."""

from mps_experiments.cli import entry_point

if __name__ == "__main__":
    entry_point()
