"""Place and route a component in standard cells with an open flow, and read back what came of it.

Memories that would be SRAM macros are left out: their ports are ports of the block.
"""
