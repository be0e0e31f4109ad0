"""Failures of a simulation; none of them is the user's to mend."""


class SimulationError(RuntimeError):
    """The simulation could not be built or run, or the accelerator broke its contract."""


class SimulationTimeout(SimulationError):
    """A launch did not end within its limit of cycles or of wall time."""


class DeviceLost(SimulationError):
    """The process of a device ended while it was needed: killed, or crashed."""
