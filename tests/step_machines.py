"""Training steps as lists on the generated Verilog, beside the golden step."""

from __future__ import annotations

import functools
import os
import signal

from gscn.cosim.builds.simulator import build
from gscn.cosim.conditions import DEFAULT_CONDITIONS
from gscn.cosim.errors import SimulationError
from gscn.cosim.lists import ListSimulator
from gscn.encode import EncodeError
from gscn.lowering.step.host import Host
from tests.step_runs import Runs


class KillingHost:
    """A host that ends the simulator at one of its stops, if that is wanted."""

    def __init__(self, host, kills_at):
        self.host, self.kills_at, self.stops = host, kills_at, 0

    def begin(self, number):
        """Every list is like another."""

    def __call__(self, number, memory):
        """Do what a stop asks for, or end the simulator."""
        self.stops += 1
        if self.stops == self.kills_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.host(number, memory)


class HostKilledInGradients(Host):
    """Ends the simulator at the first stop of a gradient."""

    def _backward(self, stop):
        os.kill(os.getpid(), signal.SIGKILL)


class MachineRuns(Runs):
    """A network in the memory of a machine, and on tensors."""

    def __init__(self, layers, size, ways, *, conditions=DEFAULT_CONDITIONS, **options):
        super().__init__(layers, size, ways, **options)
        self.conditions, self.kills_at, self._machine = conditions, None, None

    @property
    def machine(self):
        """The simulator, which stays from the first step to the last, or an error."""
        if self._machine is None:
            named = {
                addr: name for one in self.lists.values() for name, addr in one.records.items()
            }
            self._machine = ListSimulator(
                self.config, self.memory, self.conditions,
                simulator=simulator_of(self.config, self.conditions.axi), names=named,
            )  # fmt: skip
        return self._machine

    def run(self, way, images, labels, sample, choose=None):
        """Run a step in both ways, and compare everything."""
        assert choose is None
        _, listing = self.begin(way, images, labels, sample)
        host = KillingHost(self.host, self.kills_at)
        try:
            run, back = self.machine.run(
                listing.addr,
                listing.end,
                host,
                together=self.together,
                timed=not self.conditions.axi,
            )
        except SimulationError:
            self._machine.close()
            self._machine = None
            raise
        assert run.error == EncodeError.NONE, (run.error, run.error_addr)
        self.memory, self.host = self.machine.memory()[0], back.host
        self.flags.append(run)
        self.golden.run()
        self.compare(way)


@functools.cache
def simulator_of(config, axi=False):
    """Return the simulator of a machine, looked for once."""
    return build(config, axi=axi, lists=True)
