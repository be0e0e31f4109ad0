"""Proofs about a cluster: what it walks through, loads and sums, and is told by its PEs."""
