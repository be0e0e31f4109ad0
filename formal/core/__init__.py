"""Proofs about the core: which job goes where, which phase comes next."""
