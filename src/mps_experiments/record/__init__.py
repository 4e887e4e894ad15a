"""The vocabulary: one run as data, from its samples to its file, and a folder of such files."""
