# amaranth: UnusedElaboratable=no
"""Drive and collect streams with pauses, and run simulations that end."""

from __future__ import annotations

import enum
import functools
import itertools
import random
from collections.abc import Callable, Iterable, Iterator

import pytest
from amaranth.lib import data, wiring

from tests.quick_simulator import simulator_of

PERIOD = 1e-6
SILENCE_CYCLES = 8


def never() -> Iterator[bool]:
    """No pause."""
    return itertools.repeat(False)


def randomly(seed: int, share: float = 0.5) -> Iterator[bool]:
    """Pause in about `share` of the cycles."""
    generator = random.Random(seed)
    return (generator.random() < share for _ in itertools.count())


def in_runs(seed: int, longest: int = 12) -> Iterator[bool]:
    """Alternate runs of pauses and of activity, each of random length."""
    generator = random.Random(seed)
    pausing = False
    while True:
        yield from itertools.repeat(pausing, generator.randint(1, longest))
        pausing = not pausing


PAUSES: dict[str, tuple[Callable[[], Iterator[bool]], Callable[[], Iterator[bool]]]] = {
    "no pause": (never, never),
    "idle source": (lambda: randomly(1), never),
    "stalled sink": (never, lambda: randomly(2)),
    "both": (lambda: in_runs(3), lambda: in_runs(4)),
}
"""Makers of pause patterns: (of the source, of the sink)."""

with_pauses = pytest.mark.parametrize(
    ("source_pauses", "sink_pauses"), list(PAUSES.values()), ids=list(PAUSES)
)
"""Run a test under every pattern of `PAUSES`, as makers `source_pauses` and `sink_pauses`."""


def plain(value: object) -> object:
    """Turn a sampled value into numbers, lists and dictionaries that compare strictly."""
    if isinstance(value, data.Const):
        layout = value.shape()
        if isinstance(layout, data.ArrayLayout):
            return [plain(value[index]) for index in range(layout.length)]
        return {key: plain(value[key]) for key, _ in layout}
    if isinstance(value, enum.Enum):
        return value
    return int(value)


def drive(port, words: Iterable, pauses: Iterator[bool] | None = None):
    """Return a testbench that offers each word until it is taken; pauses come between words."""
    pauses = never() if pauses is None else pauses

    async def driver(ctx):
        for word in words:
            while next(pauses):
                await ctx.tick()
            ctx.set(port.p, word)
            ctx.set(port.valid, 1)
            taken = False
            while not taken:
                _, _, taken = await ctx.tick().sample(port.ready)
            ctx.set(port.valid, 0)

    return driver


def collect(
    port,
    received: list,
    count: int,
    pauses: Iterator[bool] | None = None,
    *,
    cycles: list[int] | None = None,
):
    """Return a testbench that takes `count` words, then requires silence.

    A word once offered must stay, unchanged, until it is taken. `cycles` receives the cycle in
    which each word was taken, counted from 0 at the start.
    """
    pauses = never() if pauses is None else pauses

    async def collector(ctx):
        offered = None
        silent = 0
        for cycle, pause in enumerate(pauses):
            takes = not pause or len(received) >= count
            ctx.set(port.ready, takes)
            _, _, valid, payload = await ctx.tick().sample(port.valid, port.p)
            word = plain(payload) if valid else None
            if offered is not None:
                assert word == offered, f"offered {offered}, then {word} before it was taken"
            offered = None if takes else word
            if valid and takes:
                assert len(received) < count, f"{word} follows the {count} words expected"
                received.append(word)
                if cycles is not None:
                    cycles.append(cycle)
            elif len(received) == count:
                silent += 1
                if silent == SILENCE_CYCLES:
                    return

    return collector


@functools.lru_cache(maxsize=8)
def reused(kind: type[wiring.Component], **arguments) -> wiring.Component:
    """Return a component, the same one for the same arguments: `simulate` has it compiled."""
    return kind(**arguments)


def simulate(component: wiring.Component, *testbenches, cycles: int, background=()) -> None:
    """Run the testbenches to their ends, from a reset on; fail after `cycles` cycles.

    Testbenches in `background` are stopped when all the others have ended.
    """

    async def watchdog(ctx):
        await ctx.delay(cycles * PERIOD)
        pytest.fail(f"{type(component).__name__}: not finished after {cycles} cycles")

    with simulator_of(component, PERIOD) as simulator:
        for testbench in testbenches:
            simulator.add_testbench(testbench)
        for testbench in (*background, watchdog):
            simulator.add_testbench(testbench, background=True)
        simulator.run()
