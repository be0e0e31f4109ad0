"""What a cutter knows of gangs: their clusters, where they are, and what teams are at."""

from __future__ import annotations

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import data

from gscn.array import ArrayConfig
from gscn.hw.core.tiles import TileList, cursor_layout
from gscn.hw.forwarding_memory import ForwardingMemory


def team_layout(config: ArrayConfig) -> data.StructLayout:
    """Return what is known of a chained gang.

    Its tile, the next sample of it and that one's next strip, the address of the results of the
    tile before, and how many members do not drain that one yet.
    """
    return data.StructLayout(
        {
            "s_tile": 16,
            "t_group": 16,
            "lane0": 8,
            "next": 16,
            "strip": 16,
            "out_addr": config.addr_width,
            "drained_addr": config.addr_width,
            "open": range(config.clusters),
        }
    )


class Members:
    """What is known of the clusters, and for which one the cutter works.

    Parameters
    ----------
    m
        Module to which what follows from it is added.
    clusters
        How many.
    """

    def __init__(self, m: Module, clusters: int) -> None:
        self.cluster = Signal(range(clusters))
        self.mask = Signal(clusters)
        """Its bit."""
        self.gangs = Array(Signal(range(clusters), name=f"gang{n}") for n in range(clusters))
        """For which each works, by its first cluster."""
        self.gang = Signal(range(clusters))
        """The cluster's."""
        self.retired = Signal(clusters)
        """Gets nothing more in this pass."""
        self.waits = Signal(clusters)
        """Nothing for it until another one has got a job."""
        m.d.comb += [self.mask.eq(1 << self.cluster), self.gang.eq(self.gangs[self.cluster])]


class Cursors:
    """Cursors of gangs, in a memory by their first clusters; the first one that of all teams.

    Parameters
    ----------
    m
        Module to which the memory is added.
    tiles
        What steps a cursor.
    config
        Clusters.
    """

    def __init__(self, m: Module, tiles: TileList, config: ArrayConfig) -> None:
        layout = cursor_layout(config)
        rows = ForwardingMemory(width=layout.size, depth=max(config.clusters, 2))
        m.submodules.cursors = rows
        self.number, self.coming = (
            Signal(range(config.clusters), name=name) for name in ("number", "coming")
        )
        """Of the cursor that is looked at; that is to be looked at in the next cycle."""
        self.more = Signal(config.clusters)
        """Of each, there is a tile."""
        self.has = Signal()
        """The one that is looked at has one."""
        self.begins, self.steps = Signal(), Signal()
        """It goes to the next stationary tile; to the next tile."""
        m.d.comb += [
            rows.addr.eq(self.coming),
            tiles.cursor.eq(rows.data),
            tiles.take.eq(self.begins),
            self.has.eq(self.more.bit_select(self.number, 1)),
            rows.write_addr.eq(self.number),
            rows.write_data.eq(Mux(self.begins, tiles.first, tiles.after)),
            rows.en.eq(self.begins | self.steps),
        ]
        with m.If(self.begins):
            m.d.sync += self.more.bit_select(self.number, 1).eq(1)
        with m.Elif(self.steps):
            m.d.sync += self.more.bit_select(self.number, 1).eq(~tiles.ends)


class Teams:
    """Records of chained gangs, in a memory by their first clusters.

    Parameters
    ----------
    m
        Module to which the memory is added.
    members
        Whose team's record is looked at.
    d
        The pass.
    config
        Clusters, address width.
    """

    def __init__(self, m: Module, members: Members, d: data.View, config: ArrayConfig) -> None:
        layout, clusters = team_layout(config), config.clusters
        m.submodules.teams = rows = ForwardingMemory(width=layout.size, depth=max(clusters, 2))
        self.coming = Signal(range(clusters))
        """Whose record is to be looked at in the next cycle."""
        self.writes, self.after = Signal(), Signal(layout)
        """The record changes; to what."""
        self.begun = Signal(clusters)
        """There is a record."""
        self.behind = Signal(clusters)
        """By cluster: it has not got its drain of the tile before."""
        self.closes = Signal()
        """That for which the cutter works is behind."""
        self.held = Signal(layout)
        """The record, or one of zeros."""
        self.left = Signal(16)
        """Samples of its tile."""
        self.exhausted, self.last_unit = Signal(), Signal()
        self.ends_samples = Signal()
        """The next unit has the last strips of its samples."""
        m.d.comb += [
            rows.addr.eq(self.coming),
            rows.write_addr.eq(members.gang),
            rows.write_data.eq(self.after),
            rows.en.eq(self.writes),
            self.after.eq(self.held),
            self.left.eq(d.samples - self.held.next),
            self.exhausted.eq((self.left == 0) | ~self.begun.bit_select(members.gang, 1)),
            self.ends_samples.eq(
                (d.unit_strips == 0) | (self.held.strip + d.unit_strips >= d.t_strips)
            ),
            self.last_unit.eq(self.ends_samples & (self.left <= d.tile_samples)),
            self.closes.eq(self.behind.bit_select(members.cluster, 1)),
        ]
        with m.If(self.begun.bit_select(members.gang, 1)):
            m.d.comb += self.held.eq(rows.data)
