"""What runs inside the simulator's process: testbenches, memory and buses in C++."""
