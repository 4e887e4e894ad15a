"""``python -m mps_experiments.export``."""

from mps_experiments.export.command import entry_point

if __name__ == "__main__":
    entry_point()
