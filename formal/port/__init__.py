"""Proofs about memory ports and their channels."""
