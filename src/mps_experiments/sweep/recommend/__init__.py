"""Find the cell to use under limits, from stored runs and as few new ones as it takes."""
