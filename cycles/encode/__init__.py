"""The time that an encode pass takes: a model of `hw.encode.unit`."""
