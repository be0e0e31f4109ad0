"""Lowering: one pass of a convolution to descriptors and a memory image, as a driver does it."""

from gscn.lowering.pass_image import PassImage, lower_pass
from gscn.lowering.plan import PassPlan, plan_pass

__all__ = ["PassImage", "PassPlan", "lower_pass", "plan_pass"]
