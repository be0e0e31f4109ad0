"""Amaranth components of the accelerator, from the PE to the whole core.

Every component's docstring says, after what the component does, four things under `Timing`, and
`tests/hw/test_docstrings.py` compares each with the netlist:

- Latency: the fewest cycles from one member to another, by the name of a constant of the class.
  Where a row is in a memory before it counts, those of other ways, and it says so.
- Throughput: what goes through in a cycle, and what costs more.
- Combinational: which outputs depend on which inputs in the same cycle. It is what the netlist
  connects, whether or not a value ever goes that way.
- Reset: what is forgotten, and the outputs in the cycle after, with all inputs at rest. Those not
  named are 0; payloads are not spoken of while they are not offered. Undefined is what memories and
  registers without a reset still hold.

Under `Attributes` stands every member of the signature with direction and shape, as Amaranth writes
them, in the names of the module and of `hw.layouts`.
"""
