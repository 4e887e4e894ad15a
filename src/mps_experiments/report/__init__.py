"""What a person reads at the end: ratios and tables."""
