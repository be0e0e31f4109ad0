"""Amaranth components of the accelerator, from the PE to the whole core."""
