"""``python -m mps_experiments.compare``."""

from mps_experiments.cli import compare

if __name__ == "__main__":
    compare()
