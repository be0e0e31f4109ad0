"""A dense array of equal multipliers: a rival to be measured beside the PEs, part of no design."""
