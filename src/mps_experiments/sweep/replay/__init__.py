"""A stored run made again, and both results side by side."""
