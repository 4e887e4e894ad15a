"""Stored runs as one YAML that gives the same plan again."""
