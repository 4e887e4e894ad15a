"""What is known of this machine: GPUs, driver, CPU, versions."""
