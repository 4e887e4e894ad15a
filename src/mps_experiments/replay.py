"""``python -m mps_experiments.replay``."""

from mps_experiments.cli import replay

if __name__ == "__main__":
    replay()
