"""Builds of simulators: toolchain, generated Verilog, partition, cache."""
