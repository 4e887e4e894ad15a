"""``python -m mps_experiments.recommend``."""

from mps_experiments.cli import recommend

if __name__ == "__main__":
    recommend()
