"""Proofs about the core: which pass comes next."""
