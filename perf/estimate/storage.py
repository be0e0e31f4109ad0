"""Memories of an array: how many there are of each kind, how deep and how wide.

From the sizes of the configuration alone, as `hw.pe` and `hw.cluster` build them. Every PE has a
copy of the stationary window: entries, and two copies of the directory, of which one says where a
look-up begins and the other where it ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from gscn.array import ArrayConfig

ACCUMULATOR_BANKS = 2
"""Of a PE: one fills while the other drains."""
DIRECTORY_COPIES = 2
"""Of a PE: first entry of a range of keys, and the one behind its last."""
ENTRY_BANKS = 2
"""Memories that the entries of a PE lie in, by their lowest address bit."""
READ_CHANNELS = 2
"""Of a cluster, with a buffer each: stationary strips, streamed strips."""
_SPECIAL_BITS = 2
"""Beside each sum, with float formats: infinities and NaN."""
_WORD_CONTROL_BITS = 3
_SPAN_BITS, _ROWS_BITS = 9, 4
"""Of a word: its kind and whether it ends a job; keys of a look-up; look-ups."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Storage:
    """Memories of one kind, all alike."""

    count: int
    """In the whole array."""
    depth: int
    width: int
    """Bits of a row."""

    @property
    def bits(self) -> int:
        """Bits of all of them."""
        return self.count * self.depth * self.width


ACCUMULATORS, ENTRIES, DIRECTORIES = "accumulators", "stationary entries", "directories"
WORDS, FIBERS, READS, WRITES = "word queues", "fiber queues", "read FIFOs", "result beats"


def storage(config: ArrayConfig) -> dict[str, Storage]:
    """Return the memories of an array by kind."""
    pes, clusters = config.multipliers, config.clusters
    sum_width = config.acc_width + (_SPECIAL_BITS if config.floats else 0)
    entry_width = config.value_width + config.index_width
    return {
        ACCUMULATORS: Storage(
            count=pes * ACCUMULATOR_BANKS * config.drain_width,
            depth=config.acc_depth // config.drain_width,
            width=sum_width,
        ),
        ENTRIES: Storage(
            count=pes * ENTRY_BANKS,
            depth=config.stationary_depth // ENTRY_BANKS,
            width=entry_width,
        ),
        DIRECTORIES: Storage(
            count=pes * DIRECTORY_COPIES, depth=config.directory_depth, width=config.entry_width
        ),
        WORDS: Storage(
            count=pes,
            depth=config.word_depth,
            width=_WORD_CONTROL_BITS + config.key_width + _SPAN_BITS + _ROWS_BITS + entry_width,
        ),
        FIBERS: Storage(
            count=pes,
            depth=config.fiber_depth,
            width=_WORD_CONTROL_BITS + 2 * config.entry_width + entry_width,
        ),
        READS: Storage(
            count=clusters * READ_CHANNELS, depth=config.read_fifo_beats, width=config.mem_width
        ),
        WRITES: Storage(count=clusters, depth=2 * config.burst_beats + 1, width=config.mem_width),
    }


def memory_bits(config: ArrayConfig) -> dict[str, int]:
    """Return the bits of the memories of an array by kind."""
    return {name: one.bits for name, one in storage(config).items()}
