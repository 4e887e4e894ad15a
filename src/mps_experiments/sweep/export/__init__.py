"""Stored runs as one experiment file that gives the same plans again."""
