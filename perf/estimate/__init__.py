"""Time, energy and memory traffic of training a network, by several modes."""
