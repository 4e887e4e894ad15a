"""``python -m mps_experiments.doctor``."""

from mps_experiments.cli import doctor

if __name__ == "__main__":
    doctor()
