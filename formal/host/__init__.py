"""Proofs about what meets the bus of a system: the AXI4 managers and the registers."""
