"""``python -m mps_experiments.doctor``: what a newcomer trips over, and what to do; changes nothing."""
