"""A report leaves when all PEs have passed its mark: neither before, nor later, nor another one."""

from __future__ import annotations

from amaranth.hdl import Cat, Signal, Value

from formal.checker import Checker, Queue
from gscn.hw.cluster.marks import MarkJoiner


class MarkJoinerChecker(Checker):
    """Count the reports that have come and gone, and the marks that each PE has passed.

    Assumed: a PE passes a mark only after the report of it has come, and each once.
    """

    CLAIMS = {
        "passed": "a report leaves in the first cycle after all PEs have passed its mark",
        "order": "reports leave in the order in which they came, unchanged",
        "idle": "`idle` is high exactly while none is held, and one more is taken while there is "
        "room",
    }

    dut: MarkJoiner

    def describe(self) -> None:
        """State how counts of marks hang together with the queue of reports."""
        dut, m, probe, depth = self.dut, self.m, self.probe, self.dut.DEPTH
        word = Value.cast(dut.reports.p)
        enters, leaves = dut.reports.valid & dut.reports.ready, dut.o_valid
        queue = Queue(self, "queue", depth=depth, width=len(word))
        follower = queue.follow(enters=enters, word=word, leaves=leaves)
        width = len(queue.level) + 2  # differences are small, so that counts may wrap
        come, gone = Signal(width), Signal(width)
        m.d.sync += [come.eq(come + enters), gone.eq(gone + leaves)]
        held = (come - gone)[:width]
        passed = []
        for number in range(dut.config.pes):
            marks = Signal(width, name=f"marks{number}")
            m.d.sync += marks.eq(marks + dut.marks[number])
            self.assume(~dut.marks[number] | (marks != come))
            ahead = (marks - gone)[:width]
            self.invariant((ahead <= held) & (probe.signal(f"passed{number}") == ahead))
            passed.append(ahead != 0)
        self.invariant((held == queue.level) & (held <= depth))
        self.claim("passed", dut.o_valid == Cat(passed).all())
        self.claim(
            "order",
            (~leaves | (held != 0))
            & (~(follower.is_next & leaves) | (Value.cast(dut.o) == follower.word)),
        )
        self.claim("idle", (dut.idle == (held == 0)) & (dut.reports.ready == (held < depth)))
        self.reach(leaves & (held == depth))
