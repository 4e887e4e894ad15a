"""Worker processes: the parent side, the child side and the words between them."""
