"""Under which conditions launches are simulated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gscn.cosim.simulation import CHANNELS
from gscn.enums import takes_text
from gscn.errors import InputError, raise_problems
from gscn.port import READ_LATENCY


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """Memory, host and random values that launches meet; no result depends on them.

    Raises
    ------
    InputError
        A setting is out of range.
    """

    latency: int = READ_LATENCY
    """Cycles from a read command to its first beat; at least 2."""
    stall_probability: float | Mapping[str, float] = 0.0
    """Probability that a channel of a memory port pauses in a cycle, at least 0 and below 1: one
    for all channels, or by name (`cosim.simulation.CHANNELS`), the others 0."""
    seed: int = 0
    """Of the pauses and of `random_init`; each launch derives its own from it."""
    timeout_cycles: int | None = None
    """Limit of cycles per launch; by default `cosim.simulation.default_timeout_cycles`."""
    wall_timeout_seconds: float | None = None
    """Limit of time for all launches of one process; by default none but that on cycles."""
    waves: bool = False
    """Whether to write `build/<configuration digest>/waves.vcd`."""
    random_init: bool = False
    """Whether registers and memories without initial value start with random bits, not zeros."""
    axi: bool = False
    """Whether the core is behind AXI4 and AXI4-Lite. Then a host starts the list and reads the
    counters through the registers, `RunResult.cycles` is what the core itself has counted, and the
    latencies are those of the AXI4 memory; see `cosim.launch.seen_latencies`. With a simulator so
    built it need not be said."""
    faulty: bool = False
    """Whether programs may be malformed: then an error that the accelerator reports ends the launch
    and is part of the result, and reads outside memory are answered, behind AXI with DECERR."""
    reset: bool = True
    """Whether there is a reset before each launch of a process, not only before the first. Without,
    a faulty launch must be behind AXI, whose registers let the core go on after an error."""

    def __post_init__(self) -> None:
        """Check the channels, the probabilities and what depends on each other."""
        given = self.stall_probability
        problems = []
        if isinstance(given, Mapping):
            problems += [
                f"channel must be one of {', '.join(CHANNELS)}, not {channel!r}"
                for channel in given
                if channel not in CHANNELS
            ]
        problems += [
            f"stall probability of {channel} must be at least 0 and below 1, not {value}"
            for channel, value in self.stalls.items()
            if not 0 <= value < 1
        ]
        if self.latency < 2:
            problems.append(f"latency must be at least 2 cycles, not {self.latency}")
        raise_problems("memory", problems)
        if self.faulty and not self.reset and not self.axi:
            raise InputError("faulty launches without a reset must run behind AXI, with axi=True")

    @property
    def stalls(self) -> dict[str, float]:
        """Probability of each of `cosim.simulation.CHANNELS`."""
        given = self.stall_probability
        if isinstance(given, Mapping):
            return {channel: float(given.get(channel, 0.0)) for channel in CHANNELS}
        return dict.fromkeys(CHANNELS, float(given))

    @property
    def steady(self) -> bool:
        """Whether memory never pauses, so that the cycle model tells every cycle."""
        return not any(self.stalls.values())


DEFAULT_CONDITIONS = Conditions()
