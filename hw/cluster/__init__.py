"""Cluster: PEs that share a stream; what loads, feeds, drains and counts them."""
