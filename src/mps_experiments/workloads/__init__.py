"""What a worker executes. Only modules in this package build models."""
