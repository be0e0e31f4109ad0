"""Depths and latencies of the hardware that the cycle model shares with it.

The components of `hw` name them as constants of their own (`RingWalker.LATENCY`), from here; a test
of each component measures its latency.
"""

from __future__ import annotations

FLOAT_PRODUCT_LATENCY = 3
"""`hw.pe.float_product.FloatProduct.LATENCY`: from two factors to their product."""
ROUNDER_LATENCY = 2
"""`hw.pe.rounding.Rounder.LATENCY`: from a sum to its result."""
FLOAT_ROUNDER_LATENCY = 2 + ROUNDER_LATENCY
"""`hw.pe.float_rounding.FloatRounder.LATENCY`: the same in an array with float formats."""
ACCUMULATOR_BANKS = 2
"""Of a PE: one fills while the other drains."""

QUEUE_LATENCY = 1
"""`hw.fifo.StreamFIFO.LATENCY`."""

# -- input of a cluster
PIECES_REQUESTED = 2
"""`hw.port.pieces.PieceReader.REQUEST_DEPTH`: pieces asked for, none of which is gathered."""
MARKS_UNDER_WAY = 8
"""`hw.cluster.marks.MarkJoiner.DEPTH`: MARKs and ENDs that some PE has not passed."""
JOBS_DECIDED = 4
"""`hw.cluster.window.WindowLoader.JOBS`: jobs that are, or are being, loaded and have not ended."""
STRIPS_TO_LOAD = 2
"""`hw.cluster.window.WindowLoader.STRIPS`: strips asked for that the expander has not taken."""
STRIPS_ASKED = STRIPS_TO_LOAD + 3
"""The same and those that are not loaded."""
LOAD_ASK_CYCLES = 4
"""`hw.cluster.window.WindowLoader.ASK_CYCLES`: from a job that is taken to the first strip that it
asks for."""
STRIPS_NAMED = 2
"""`hw.cluster.streamer.Streamer.CONTEXTS`: strips whose words are not all made."""
PIECE_LATENCY = 3
"""`hw.port.pieces.PieceReader.LATENCY`: from a beat to its halfwords."""
PORTION_LATENCY = 1
"""`hw.cluster.portions.PortionReader.LATENCY`: from halfwords of values to a portion of them."""
PORTIONS_QUEUED = 2
"""`hw.cluster.portions.PortionReader.DEPTH`: portions that wait."""
VECTOR_LATENCY = PORTION_LATENCY + 1
"""`hw.cluster.vectors.VectorExpander.LATENCY`: from halfwords to the item they make."""
ITEMS_QUEUED = 2
"""`hw.cluster.vectors.VectorExpander.ITEMS`: items that wait."""
TABLE_LATENCY = 3
"""`hw.cluster.offsets.TableReader.LATENCY`: from the last beat of a table to its piece."""
WORDS_QUEUED = 2
"""`hw.cluster.placer.WordPlacer.WORDS`: words and marks that wait to be dealt."""
PLACER_LATENCY = 2
"""`hw.cluster.placer.WordPlacer.LATENCY`: from an item to its word."""
DEALER_LATENCY = 0
"""`hw.cluster.dealer.Dealer.LATENCY`: from a word to a PE's."""
INPUT_LATENCY = PIECE_LATENCY + VECTOR_LATENCY + PLACER_LATENCY + DEALER_LATENCY
"""`hw.cluster.cluster_input.ClusterInput.LATENCY`: from a beat of the stream to a word of it;
a beat of a table lets in a job no sooner."""

# -- PE
RANGE_LATENCY = 3
"""`hw.pe.ranges.RangeLookup.LATENCY`: from a word to its first fiber, through a queue."""
RING_LATENCY = 2
"""`hw.pe.ring.RingWalker.LATENCY`: from an entry that is issued to its index."""
PRODUCT_LATENCY = 1
"""`hw.pe.ring.RingWalker.PRODUCT_LATENCY`: from an index to its product."""
RING_FLOAT_LATENCY = RING_LATENCY - PRODUCT_LATENCY + FLOAT_PRODUCT_LATENCY
"""`hw.pe.ring.RingWalker.FLOAT_LATENCY`: the same in an array with float formats."""
MARK_LATENCY = 1
"""`hw.pe.ring.RingWalker.MARK_LATENCY`: from a mark that is taken to its report."""
SUMS_LATENCY = 4
"""`hw.pe.sums.Sums.LATENCY`: from the end of a job to its report, when all sums are stored."""
SUMS_DRAIN_LATENCY = 1
"""`hw.pe.sums.Sums.DRAIN_LATENCY`: from a row that is drained to its sums."""
WORD_WALK_CYCLES = QUEUE_LATENCY + RANGE_LATENCY
"""From a word that enters an empty PE to the walk of its first fiber."""
WORD_MARK_CYCLES = WORD_WALK_CYCLES + MARK_LATENCY
"""`hw.pe.worker.Worker.MARK_CYCLES`: from a mark that enters an empty PE to its report."""
JOB_END_CYCLES = RING_LATENCY + SUMS_LATENCY
"""From an end of a job that a walker takes to its report."""
WORD_END_CYCLES = WORD_WALK_CYCLES + JOB_END_CYCLES
"""`hw.pe.worker.Worker.END_CYCLES`: from an end of a job that enters an empty PE to its report."""

WRITER_BEAT_LATENCY = 1
"""`hw.cluster.result_writer.ResultWriter.LATENCY`: from what completes a beat to the beat."""
WRITER_COMMAND_LATENCY = 1
"""`hw.cluster.result_writer.ResultWriter.COMMAND_LATENCY`: from what ends a burst to its offer."""

TILES_ANNOUNCED = 4
"""`hw.cluster.summing.SummingDrain.TILES`: jobs that drain, taken and not over."""
DRAIN_FREE_CYCLES = 2
"""`hw.cluster.summing.SummingDrain.FREE_CYCLES`: from the last row asked for to a free bank."""
DRAIN_BETWEEN_JOBS = 2
"""`hw.cluster.summing.SummingDrain.BETWEEN_JOBS`: from the end of a job to the next row."""

RESULT_LATENCY = ROUNDER_LATENCY
"""`hw.cluster.results.Results.LATENCY`: from a row of sums to its results."""
RESULT_FLOAT_LATENCY = FLOAT_ROUNDER_LATENCY
"""`hw.cluster.results.Results.FLOAT_LATENCY`: the same in an array with float formats."""

TILES_PREPARE_CYCLES = 5
"""`hw.core.tiles.TileList.PREPARE_CYCLES`: from the start of a pass to its first tile."""

JOB_CYCLES = 2
"""`hw.core.cutter.Cutter.JOB_CYCLES`: from one job of a chained pass to the next, one more if it
begins a team's tile; jobs of others come one a cycle."""


def team_sum_cycles(pes: int) -> int:
    """Return the cycles from the rows of all PEs to their total, the rest of the team added.

    One takes them to registers, each step adds four, the last one adds the rest of the team.
    """
    return 2 + ((pes - 1).bit_length() + 1) // 2


def job_end_cycles(*, floats: bool) -> int:
    """Return the cycles from an end of a job that a PE's walker takes to its report."""
    return JOB_END_CYCLES + (RING_FLOAT_LATENCY - RING_LATENCY if floats else 0)
