"""``python -m mps_experiments.export``."""

from mps_experiments.cli import export

if __name__ == "__main__":
    export()
