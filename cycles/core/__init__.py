"""Time of the core: phases, jobs, clusters and ports, cycle by cycle."""
