"""Time of a cluster: what loads, feeds, drains and counts its PEs."""
