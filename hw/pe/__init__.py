"""Processing element: look-up, multiplier, accumulators, rounding."""
