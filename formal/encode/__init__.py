"""Proofs about the encode unit."""
