"""What is proved of the encode unit, of lists, and of the port that they share with the array."""

from __future__ import annotations

from formal.port.write_merger import WriteMergerChecker
from formal.subject import PORT, WIDE, Subject, bursts, config
from gscn.hw.port.write_merger import WriteMerger


def _merger(count: int, *, together: bool = True, **fields: int) -> Subject:
    size = config(**fields)
    return Subject(
        component=WriteMerger,
        sizes=f"{count} ports, {bursts(size)}, {size.outstanding_bursts} under way",
        parameters={"config": size, "count": count},
        checker=WriteMergerChecker,
        depth=3,
        reach_depth=14,
        together=together,
    )


SUBJECTS = (
    _merger(3, together=False),
    _merger(2, **WIDE, outstanding_bursts=2, addr_width=32),
)

IN_USE = {
    WriteMerger: f"2 ports (lists), 3 (lists, array and encode unit), as those of `ReadArbiter`. "
    f"Legal: {PORT}, 1 to 256 under way",
}
