"""Sparse-training methods (SWAT, ReSprop, both, DST) for the layers of any PyTorch model."""
