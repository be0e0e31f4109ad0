"""Time of a processing element."""
