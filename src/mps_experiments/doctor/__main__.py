"""``python -m mps_experiments.doctor``."""

from mps_experiments.doctor.command import entry_point

if __name__ == "__main__":
    entry_point()
