"""Proofs about processing elements."""
