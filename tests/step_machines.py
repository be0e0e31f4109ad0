"""Training steps as lists on the generated Verilog, beside the golden step."""

from __future__ import annotations

import functools
import os
import signal

from gscn.cosim.builds.simulator import build
from gscn.cosim.conditions import DEFAULT_CONDITIONS
from gscn.cosim.lists import run_lists
from gscn.encode import EncodeError
from tests.step_runs import Runs


class HostOfOne:
    """The host of one list, which `cosim.lists` hands to the simulator and back."""

    def __init__(self, host, kills_at=None):
        self.host, self.kills_at, self.stops = host, kills_at, 0

    def begin(self, number):
        """There is one list."""
        assert number == 0

    def __call__(self, number, memory):
        """Do what a stop asks for; end the simulator at one of them, if that is wanted."""
        self.stops += 1
        if self.stops == self.kills_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.host(number, memory)


class MachineRuns(Runs):
    """A network in the memory of a machine, and on tensors."""

    def __init__(self, layers, size, ways, *, conditions=DEFAULT_CONDITIONS, **options):
        super().__init__(layers, size, ways, **options)
        self.conditions, self.kills_at = conditions, None
        self.simulator = simulator_of(self.config)

    def run(self, way, images, labels, sample, choose=None):
        """Run a step in both ways, and compare everything."""
        assert choose is None
        _, listing = self.begin(way, images, labels, sample)
        named = {addr: name for name, addr in listing.records.items()}
        host = HostOfOne(self.host, self.kills_at)
        found = run_lists(
            self.config, self.memory, [(listing.addr, listing.end)], host, self.conditions,
            together=self.together, simulator=self.simulator, names=named,
        )  # fmt: skip
        (run,) = found.runs
        assert run.error == EncodeError.NONE, (run.error, named.get(run.error_addr))
        self.memory, self.host = found.memory, found.host.host
        self.flags.append(run)
        self.golden.run()
        self.compare(way)


@functools.cache
def simulator_of(config):
    """Return the simulator of a machine, looked for once."""
    return build(config, lists=True)
