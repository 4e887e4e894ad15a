"""Run a sweep's own checks and print what they find: ``python -m mps_experiments.doctor``."""
