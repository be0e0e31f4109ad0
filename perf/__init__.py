"""Performance: cycle model, baselines, FLOP accounting and extrapolation to full networks."""
