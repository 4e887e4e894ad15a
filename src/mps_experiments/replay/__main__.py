"""``python -m mps_experiments.replay``."""

if __name__ == "__main__":  # a worker started with `spawn` imports this, and needs nothing of it
    from mps_experiments.replay.command import entry_point

    entry_point()
