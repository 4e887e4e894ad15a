"""The workloads that workers execute. Only modules of this package build models."""
