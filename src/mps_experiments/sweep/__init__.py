"""One command line: refuse together, run, keep, compare; and the tools for what it left."""
