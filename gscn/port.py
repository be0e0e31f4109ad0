"""The memory ports: their names, and the memory behind them as far as time goes."""

ALIGNMENT_BYTES = 64
"""Every address in a descriptor is a multiple of this, whatever the port width."""
ALIGNMENT_BITS = ALIGNMENT_BYTES.bit_length() - 1
"""Low bits of such an address, all 0."""
READ_LATENCY = 20
"""Default cycles from an accepted read command to its first beat."""
WRITE_LATENCY = 4
"""Cycles from a burst's last beat to its acknowledgement."""


def port_names(stem: str, count: int) -> tuple[str, ...]:
    """Return the names of several ports of one kind, numbered only if there are more than one.

    Parameters
    ----------
    stem
        Name of the kind.
    count
        Ports.
    """
    return (stem,) if count == 1 else tuple(f"{stem}{number}" for number in range(count))
