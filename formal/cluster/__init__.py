"""Proofs about a cluster: what is true once its PEs have passed a mark."""
