"""Causes of the cycle model's PE."""

from gscn.counters import CLUSTER_COUNTER_NAMES
from gscn.cycles.pe import pe


def test_causes_are_in_the_order_of_the_counters():
    names = ("busy", "add", "lookup", "sibling", "stream", "load", "drain", "tail", "idle")
    assert names == CLUSTER_COUNTER_NAMES
    values = (pe.BUSY, pe.ADDS, pe.LOOKUP, pe.SIBLING, pe.STREAM, pe.LOAD, pe.DRAIN, pe.TAIL)
    assert (*values, pe.IDLE) == tuple(range(len(names)))
