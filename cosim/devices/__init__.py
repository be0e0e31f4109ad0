"""Simulated accelerators that stay up, alone, pooled, or on other machines."""
