"""Choice of a tiling: candidates are costed from nonzero counts, the best are then built."""

from gscn.lowering.planning.estimate import Candidate
from gscn.lowering.planning.kernel_stationary import plan_kernel_stationary
from gscn.lowering.planning.map_stationary import plan_map_stationary
from gscn.lowering.planning.waves import plan_waves
from gscn.lowering.planning.weight_grad import plan_kernels

__all__ = [
    "Candidate",
    "plan_kernel_stationary",
    "plan_kernels",
    "plan_map_stationary",
    "plan_waves",
]
