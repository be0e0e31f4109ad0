"""Time at the memory ports: read and write channels, arbiters, memory."""
