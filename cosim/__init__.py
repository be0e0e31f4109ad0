"""Co-simulation of the generated Verilog with Verilator, compared with the golden models.

Differs from the usual cocotb arrangement in that memory and sequencing are in C++ behind one call
per clock cycle, so that Python runs once per launch.
"""

from cosim.errors import SimulationError, SimulationTimeout
from cosim.launch import run
from cosim.program import RunResult
from cosim.scoreboard import Comparison, compare

__all__ = ["Comparison", "RunResult", "SimulationError", "SimulationTimeout", "compare", "run"]
