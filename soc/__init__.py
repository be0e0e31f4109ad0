"""The machine in a system on a chip: processor, memory, bus and UART of LiteX, and its firmware."""
