"""Measure what NVIDIA MPS gains over time-slicing when several processes share one GPU."""

__version__ = "0.1.0"
