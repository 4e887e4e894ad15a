"""Runs in which something goes wrong on purpose: the moment of it, and what everybody else goes through."""
