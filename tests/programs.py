"""Random programs made straight from the contract, and their results by brute force."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gscn import records
from gscn.config import ALIGNMENT_BYTES, AcceleratorConfig


@dataclass(frozen=True)
class Phase:
    queue_addr: int
    job_count: int


@dataclass
class RandomProgram:
    """A program of random jobs in one phase; any tile, any stream, any drain geometry."""

    config: AcceleratorConfig
    image: np.ndarray
    memory_bytes: int
    phases: tuple[Phase, ...]
    output_ranges: tuple[tuple[int, int], ...]
    expected: np.ndarray
    """Memory after the launch."""
    useful_products: int
    flags: dict[str, bool] = field(default_factory=dict)

    def result(self, memory: np.ndarray) -> np.ndarray:
        parts = [memory[start:end] for start, end in self.output_ranges]
        return np.concatenate(parts).astype(np.int64)


class _Memory:
    def __init__(self):
        self.parts: list[tuple[int, bytes]] = []
        self.size = 0

    def reserve(self, count: int) -> int:
        addr = self.size
        self.size += -(-max(count, 1) // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
        return addr

    def place(self, data: bytes) -> int:
        addr = self.reserve(len(data))
        self.parts.append((addr, data))
        return addr


def _pad8(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


def _round(value: int, shift: int, width: int) -> tuple[int, bool]:
    quotient, rest = divmod(value, 1 << shift)
    half = (1 << shift) / 2
    if rest > half or (rest == half and shift and quotient & 1):
        quotient += 1
    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    return min(max(quotient, low), high), not low <= quotient <= high


def random_program(
    config: AcceleratorConfig, seed: int, *, jobs: int = 6, words: int = 40, density: float = 0.5
) -> RandomProgram:
    """Return a program whose every field is drawn at random within the contract."""
    rng = np.random.default_rng(seed)
    memory = _Memory()
    pes = config.pes_per_cluster
    low, high = config.format.minimum, config.format.maximum
    outputs, descriptors = [], []
    products = 0
    saturated = False
    for _ in range(jobs):
        accumulators = np.zeros((pes, config.acc_depth), object)
        segments = []
        for _ in range(rng.integers(1, 4)):
            count = int(rng.integers(0, words))
            if rng.random() < 0.2:
                count = int(rng.integers(0, min(words, pes * config.acc_depth)))
                partial = rng.integers(-(1 << 30), 1 << 30, count)
                for i, value in enumerate(partial):
                    accumulators[i % pes, i // pes] += int(value)
                segments.append(
                    {
                        "kind": records.KIND_ADD,
                        "stream_addr": memory.place(
                            records.PARTIAL.pack(count, value=partial).tobytes()
                        ),
                        "stream_count": count,
                    }
                )
                continue
            tap_count = int(rng.integers(1, config.taps_depth + 1))
            span = config.acc_depth // 4
            taps = {
                "key_delta": rng.integers(-2, 3, tap_count),
                "offset_delta": rng.integers(0, span, tap_count),
                "last": (rng.random(tap_count) < 0.4).astype(int),
            }
            taps["last"][-1] = 1
            block = records.TAP.pack(tap_count, **taps).tobytes()
            tiles = []
            for _ in range(pes):
                keys = int(rng.integers(0, config.directory_depth + 1))
                entries = int(rng.integers(0, config.a_depth + 1))
                length = rng.integers(0, 4, keys) * (rng.random(keys) < density)
                length = np.minimum(length, entries)
                start = (rng.random(keys) * (entries - length + 1)).astype(np.int64)
                value = rng.integers(low, high + 1, entries)
                offset = rng.integers(0, span, entries)
                tiles.append((start, length, value, offset))
                block += records.TILE_HEADER.pack(
                    1, directory_count=keys, a_count=entries
                ).tobytes()
                block += _pad8(
                    records.DIRECTORY_ENTRY.pack(keys, start=start, length=length).tobytes()
                )
                block += _pad8(records.A_ENTRY.pack(entries, value=value, offset=offset).tobytes())
            stream = {
                "value": rng.integers(low, high + 1, count),
                "offset": rng.integers(0, span, count),
                "key": rng.integers(-3, config.directory_depth + 3, count),
                "tap_start": rng.integers(0, tap_count, count),
            }
            for w in range(count):
                t = int(stream["tap_start"][w])
                while True:
                    key = int(stream["key"][w] + taps["key_delta"][t])
                    for pe, (start, length, value, offset) in enumerate(tiles):
                        if 0 <= key < len(start):
                            for i in range(start[key], start[key] + length[key]):
                                index = offset[i] + stream["offset"][w] + taps["offset_delta"][t]
                                accumulators[pe, index] += int(value[i]) * int(stream["value"][w])
                                products += 1
                    if taps["last"][t]:
                        break
                    t += 1
            segments.append(
                {
                    "kind": records.KIND_MAC,
                    "load_addr": memory.place(block),
                    "load_chunks": len(block) // 8,
                    "tap_count": tap_count,
                    "stream_addr": memory.place(records.B_WORD.pack(count, **stream).tobytes()),
                    "stream_count": count,
                }
            )
        segment_addr = memory.place(
            b"".join(records.SEGMENT_DESCRIPTOR.pack(1, **s).tobytes() for s in segments)
        )

        out_format = int(rng.integers(0, 3))
        shift = 0 if out_format == records.OUT_RAW else int(rng.integers(0, 36))
        width = records.OUT_WIDTHS[out_format]
        pitch = int(rng.integers(1, 20))
        rows = int(rng.integers(1, 6))
        guard_cols, guard_rows = int(rng.integers(0, pitch)), int(rng.integers(0, rows))
        planes = int(rng.integers(0, config.acc_depth // (pitch * rows) + 1))
        written = b""
        for cell in range(planes * rows * pitch):
            if cell % pitch >= guard_cols and cell // pitch % rows >= guard_rows:
                for pe in range(pes):
                    value = int(accumulators[pe, cell])
                    value, clipped = _round(value, shift, width)
                    saturated |= clipped
                    written += value.to_bytes(width // 8, "little", signed=True)
        out_addr = memory.reserve(len(written))
        outputs.append((out_addr, written))
        descriptors.append(
            records.JOB_DESCRIPTOR.pack(
                1,
                segment_addr=segment_addr,
                out_addr=out_addr,
                segment_count=len(segments),
                out_format=out_format,
                shift=shift,
                pitch=pitch,
                guard_cols=guard_cols,
                plane_rows=rows,
                guard_rows=guard_rows,
                planes=planes,
                walk_count=config.acc_depth,
            ).tobytes()
        )
    queue_addr = memory.place(b"".join(descriptors))
    image = np.zeros(memory.size, np.uint8)
    for addr, data in memory.parts:
        image[addr : addr + len(data)] = np.frombuffer(data, np.uint8)
    expected = image.copy()
    for addr, data in outputs:
        expected[addr : addr + len(data)] = np.frombuffer(data, np.uint8)
    return RandomProgram(
        config=config,
        image=image,
        memory_bytes=memory.size,
        phases=(Phase(queue_addr, jobs),),
        output_ranges=tuple((addr, addr + len(data)) for addr, data in outputs if data),
        expected=expected,
        useful_products=products,
        flags={"saturated": saturated},
    )
