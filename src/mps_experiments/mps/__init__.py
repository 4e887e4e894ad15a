"""The life cycle of a private NVIDIA MPS daemon, and the proof of who was attached to it."""
