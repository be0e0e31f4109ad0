"""What the host and its buses see: registers, AXI4, AXI4-Lite."""
