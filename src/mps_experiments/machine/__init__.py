"""Facts and readings of this machine: GPUs, driver, CPU, versions; locks of GPUs and cores."""
