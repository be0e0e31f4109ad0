"""PyTorch golden models: sparse-training layers, networks, training, traces, the integer oracle."""
