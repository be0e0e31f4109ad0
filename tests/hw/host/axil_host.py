# amaranth: UnusedElaboratable=no
"""A host that reads and writes registers, for simulations of the AXI4-Lite port."""

from __future__ import annotations

from gscn.register import REGISTER_WIDTH
from gscn.registers import register

WHOLE_WORD = (1 << REGISTER_WIDTH // 8) - 1


class Host:
    """Issue accesses one at a time; address, data and answer come with chosen delays."""

    def __init__(self, axil):
        self.axil = axil

    async def _send(self, ctx, channel, cycles, **fields):
        """Offer a word on a channel after some cycles, until it is taken."""
        axil = self.axil
        for _ in range(cycles):
            await ctx.tick()
        for name, value in fields.items():
            ctx.set(getattr(axil, channel + name), value)
        ctx.set(getattr(axil, f"{channel}valid"), 1)
        taken = False
        while not taken:
            _, _, taken = await ctx.tick().sample(getattr(axil, f"{channel}ready"))
        ctx.set(getattr(axil, f"{channel}valid"), 0)

    async def _receive(self, ctx, channel, cycles, *fields):
        """Take an answer some cycles after it is offered; it must stay until then."""
        axil = self.axil
        ports = [getattr(axil, channel + name) for name in fields]
        valid, ready = getattr(axil, f"{channel}valid"), getattr(axil, f"{channel}ready")
        offered = []
        while len(offered) <= cycles:
            ctx.set(ready, len(offered) == cycles)
            _, _, has, *values = await ctx.tick().sample(valid, *ports)
            if has:
                offered.append(list(map(int, map(_number, values))))
            assert has or not offered, "an answer was withdrawn"
        ctx.set(ready, 0)
        assert all(values == offered[0] for values in offered), "an answer changed"
        return offered[0]

    async def write_at(self, ctx, offset, value, *, strobe=WHOLE_WORD, order="addr", delay=0):
        """Write and return the response; `order` says which of address and data comes first."""
        addr = ("aw", {"addr": offset})
        data = ("w", {"data": value, "strb": strobe})
        first, second = (addr, data) if order == "addr" else (data, addr)
        await self._send(ctx, first[0], 0, **first[1])
        await self._send(ctx, second[0], delay, **second[1])
        (response,) = await self._receive(ctx, "b", delay, "resp")
        return response

    async def read_at(self, ctx, offset, *, delay=0):
        """Read and return (value, response)."""
        await self._send(ctx, "ar", 0, addr=offset)
        return tuple(await self._receive(ctx, "r", delay, "data", "resp"))

    async def write(self, ctx, name, value):
        assert await self.write_at(ctx, register(name).offset, value) == 0, name

    async def read(self, ctx, name):
        value, response = await self.read_at(ctx, register(name).offset)
        assert response == 0, name
        return value


def _number(value):
    return value.value if hasattr(value, "value") else value
