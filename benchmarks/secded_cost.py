"""What memories that correct errors take: bits, cells, time, energy.

`python -m benchmarks.secded_cost` counts the memories of `small` and `large` in their Verilog,
synthesises the encoder and the decoder of each size of words (osu018, two minutes), and shows the
energy of a product whose memories have rows with check bits (`perf.estimate.memory_energies`).
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.markdown import percent, table
from gscn.array import ArrayConfig, array
from gscn.perf.estimate.energy import HOROWITZ_45NM, Technology, energy_per_product
from gscn.perf.estimate.memory_energies import Access, MemoryEnergies
from gscn.rtl_gen.array_verilog import TOP_MODULE, Kind, array_verilog
from gscn.rtl_gen.liberty import DEFAULT_LIBERTY, check_liberty
from gscn.rtl_gen.memory_text import LIKELY
from gscn.rtl_gen.rams import RamModule, ram_modules
from gscn.rtl_gen.secded import (
    check_bits,
    decoder_name,
    decoder_text,
    encoder_name,
    encoder_text,
    stored,
    words_of,
)
from gscn.rtl_gen.synthesis import cell_delay, synthesize
from gscn.rtl_gen.yosys import parse_statistics, run_yosys
from gscn.system.cache import temporary_folder

PRESETS = ("small", "large")


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """An encoder or a decoder in cells."""

    area: float
    """Square micrometres."""
    delay: float
    """Nanoseconds from a bit to another, without wires."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Code:
    """What the words of a size take."""

    encoder: Part
    decoder: Part


def memories(config: ArrayConfig) -> Counter[RamModule]:
    """Return how many memories of each size an array has."""
    text = array_verilog(config, Kind.ARRAY).text
    with temporary_folder("gscn-secded-") as directory:
        (directory / "design.v").write_text(text, encoding="utf-8")
        report = "tee -q -o counts.json stat -json"
        run_yosys(["read_verilog design.v", f"hierarchy -top {TOP_MODULE}", report], directory)
        counts = (directory / "counts.json").read_text(encoding="utf-8")
    found = parse_statistics(counts).instances(TOP_MODULE)
    return Counter({one: found[one.module] for one in ram_modules(text)})


def code(width: int, liberty: Path) -> Code:
    """Synthesise encoder and decoder of words of so many bits.

    Raises
    ------
    InputError
        A tool or the library of cells is missing.
    """
    parts = []
    for text, name in (
        (encoder_text(width), encoder_name(width)),
        (decoder_text(width), decoder_name(width)),
    ):
        area = synthesize(text, name, liberty=liberty).modules[name].area
        parts.append(Part(area=area or 0.0, delay=cell_delay(text, name, liberty)))
    return Code(encoder=parts[0], decoder=parts[1])


@dataclass(frozen=True, kw_only=True, slots=True)
class WiderRows(MemoryEnergies):
    """Energies of memories of which some store more bits in a row than are kept in it."""

    stored: Mapping[tuple[int, int], int]
    """Rows and bits kept in a row to bits stored in it."""

    def access(self, depth: int, width: int) -> Access:
        """Return the energies of a memory that keeps rows of so many bits."""
        # not super(): a class with slots is not the one that it was written as
        return MemoryEnergies.access(self, depth, self.stored.get((depth, width), width))


def with_check_bits(technology: Technology, rams: Iterable[RamModule]) -> Technology:
    """Return a technology in which the rows of these memories have check bits.

    What encoders and decoders take is not in it.
    """
    memory = technology.memory
    wider = WiderRows(
        source=memory.source,
        small=memory.small,
        large=memory.large,
        stored={(one.depth, one.width): stored(one).width for one in rams},
    )
    return replace(technology, memory=wider)


def bits(rams: Mapping[RamModule, int]) -> int:
    """Return the bits of memories."""
    return sum(count * one.depth * one.width for one, count in rams.items())


def macro_area(rams: Mapping[RamModule, int]) -> float:
    """Return the square micrometres of memories, each a macro."""
    return LIKELY.area(sum(rams.values()), bits(rams))


def with_codes(rams: Mapping[RamModule, int]) -> Counter[RamModule]:
    """Return what stores the rows of memories and their check bits."""
    return Counter({stored(one): count for one, count in rams.items()})


def codes_area(rams: Mapping[RamModule, int], codes: Mapping[int, Code]) -> float:
    """Return the square micrometres of all encoders and decoders."""
    return sum(
        count * (codes[width].encoder.area + codes[width].decoder.area)
        for one, count in rams.items()
        for width in words_of(one)
    )


def memory_rows(rams: Mapping[RamModule, int]) -> list[list[str]]:
    """Return a row for each size of memories: what it keeps and what it stores."""
    return [
        [f"`{one.module}`", f"{count:,}", f"{one.depth * one.width:,}",
         " + ".join(f"{n} x {width}" for width, n in Counter(words_of(one)).items()),
         str(stored(one).width), percent(stored(one).width / one.width - 1)]
        for one, count in rams.items()
    ]  # fmt: skip


def code_rows(codes: Mapping[int, Code]) -> list[list[str]]:
    """Return a row for each size of words."""
    return [
        [str(width), str(check_bits(width)),
         *(f"{part.area:,.0f}" for part in (one.encoder, one.decoder)),
         *(f"{part.delay:.2f}" for part in (one.encoder, one.decoder))]
        for width, one in sorted(codes.items())
    ]  # fmt: skip


def preset_row(
    name: str, config: ArrayConfig, rams: Mapping[RamModule, int], codes: Mapping[int, Code]
) -> list[str]:
    """Return what a preset's memories take without and with codes."""
    coded, cells = with_codes(rams), codes_area(rams, codes)
    plain, wider = macro_area(rams), macro_area(coded)
    products = [
        sum(energy_per_product(config, technology).values())
        for technology in (HOROWITZ_45NM, with_check_bits(HOROWITZ_45NM, rams))
    ]
    return [
        f"`{name}`", f"{bits(rams):,}", percent(bits(coded) / bits(rams) - 1),
        f"{plain / 1e6:.2f}", f"{(wider - plain) / 1e6:.2f}", f"{cells / 1e6:.2f}",
        percent((wider + cells) / plain - 1),
        *(f"{one:.2f}" for one in products), percent(products[1] / products[0] - 1),
    ]  # fmt: skip


def text(liberty: Path) -> str:
    """Return the tables."""
    found = {name: memories(array(name)) for name in PRESETS}
    widths = {width for rams in found.values() for one in rams for width in words_of(one)}
    codes = {width: code(width, liberty) for width in sorted(widths)}
    header = ["memory", "of them", "bits", "words of a row", "bits of a row stored", "more"]
    presets = [preset_row(name, array(name), rams, codes) for name, rams in found.items()]
    return "\n\n".join([
        *(f"`{name}`:\n\n{table(header, memory_rows(rams))}" for name, rams in found.items()),
        table(
            ["bits of a word", "check bits", "encoder (um2)", "decoder (um2)",
             "encoder (ns)", "decoder (ns)"],
            code_rows(codes),
        ),
        table(
            ["preset", "bits of memories", "check bits", "macros (mm2)", "for check bits",
             "encoders and decoders", "more", "product (pJ)", "with check bits", "more"],
            presets,
        ),
    ])  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.secded_cost", description=__doc__)
    parser.add_argument("--liberty", type=Path, default=DEFAULT_LIBERTY, help="standard cells")
    sys.stdout.write(text(check_liberty(parser.parse_args().liberty)) + "\n")
