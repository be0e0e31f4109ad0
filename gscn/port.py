"""The memory ports: their names, and the memory behind them as far as time goes."""

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
