"""``python -m mps_experiments.sync``."""

from mps_experiments.cli import sync

if __name__ == "__main__":
    sync()
