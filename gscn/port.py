"""The memory behind the port, as far as time goes: shared by testbench and cycle model."""

READ_LATENCY = 20
"""Default cycles from an accepted read command to its first beat."""
WRITE_LATENCY = 4
"""Cycles from a burst's last beat to its acknowledgement."""
