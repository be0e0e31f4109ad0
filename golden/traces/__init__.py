"""Traces: the operands and results of a training step, written, read and recorded."""
