"""Samples, statistics, verdicts and the record on disk. Imports neither torch, mlflow nor hydra."""
