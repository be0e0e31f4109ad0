"""Memories that correct a wrong bit of a word and detect two, to put in place of generated ones.

A row is stored as words of at most `MOST_BITS` bits, each with check bits of its own; a part of a
row that is written separately is of whole words.

Implements: M. Y. Hsiao, "A Class of Optimal Minimum Odd-weight-column SEC-DED Codes", IBM Journal
of Research and Development 14(4), 1970.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from string import Template

from gscn.rtl_gen.rams import (
    MACROS,
    PORTS,
    SUBARRAY_ROWS,
    RamModule,
    bits_text,
    port_texts,
    rows_texts,
)

SECDED_FILE = "gscn_secded.v"
"""Name of the file with memories that correct errors, beside the Verilog."""
MOST_BITS = 64
"""Bits of a word at most, check bits not included."""
ALARM = "gscn_memory_alarm"
"""Module that is told of errors; it does nothing with them."""
ALARM_MACRO = "GSCN_MEMORY_ALARM"
"""Macro of Verilog with which `ALARM` is left out: another is to be there."""
ROWS_MACRO = "GSCN_SECDED_ROWS"
"""Macro of Verilog with which the modules that store are left out: others are to be there."""
_ROWS = "gscn_secded_rows_"

_HEAD = f"""\
// Memories of $module, configuration $digest, that correct one wrong bit of a word and
// detect two. To be used with the macro {MACROS} defined. A row is stored as words of at
// most {MOST_BITS} bits, each below its check bits, in subarrays of $rows rows.
//
// With {ROWS_MACRO} defined what stores is left out: modules of the same names, e.g. macros, are
// to be there. With {ALARM_MACRO} defined {ALARM} is left out, which every memory tells
// of errors.

`ifndef {ALARM_MACRO}
// What is read in this cycle was wrong: it is corrected, or part of it cannot be.
module {ALARM} (
  input clk,
  input corrected,
  input uncorrectable
);
endmodule
`endif
"""
_MEMORY = Template(f"""\

module $name (
{PORTS.replace("nothing is reset", "rows stay, there is no alarm")});
  wire $stored_bits kept;
  wire $stored_bits found;
  wire $word_bits corrected;
  wire $word_bits uncorrectable;
$words

  $rows rows (
    .clk(clk),
    .rst(rst),
    .read__addr(read__addr),
    .read__en(read__en),
    .read__data(found),
    .write__addr(write__addr),
    .write__en(write__en),
    .write__data(kept)
  );

  // A row that is being written may show anything, which is no error.
  reg counts;
  always @(posedge clk)
    counts <= !rst && read__en && !(|write__en && write__addr == read__addr);

  {ALARM} alarm (
    .clk(clk),
    .corrected(counts && |corrected),
    .uncorrectable(counts && |uncorrectable)
  );
endmodule
""")
_WORD = Template("""\

  $encoder encoder$number (
    .data(write__data$own),
    .word(kept$stored)
  );
  $decoder decoder$number (
    .word(found$stored),
    .data(read__data$own),
    .corrected(corrected[$number]),
    .uncorrectable(uncorrectable[$number])
  );""")
_ENCODER = Template("""\

module $name (
  input $data_bits data,
  output $stored_bits word
);
  assign word = {
$sums
    data
  };
endmodule
""")
_DECODER = Template("""\

module $name (
  input $stored_bits word,
  output $data_bits data,
  output corrected,
  output uncorrectable
);
  wire $check_bits syndrome = word[$top:$width] ^ {
$sums
  };
  // The syndrome of one wrong bit is its column.
  wire $stored_bits wrong = {
$columns
  };
  assign data = word$data_bits ^ wrong$data_bits;
  assign corrected = |wrong;
  assign uncorrectable = |syndrome && !corrected;
endmodule
""")


@functools.cache
def columns(width: int) -> tuple[int, ...]:
    """Return the columns of the check matrix for the bits of a word, check bits not included.

    Bit i of a column says whether check bit i is a sum that the bit is part of. Columns have odd
    numbers of ones, three at least, no two are equal; those of the check bits have one. They have
    as few ones as there can be, and the ones of any two rows differ by two at most.

    Parameters
    ----------
    width
        Bits, positive.
    """
    checks = check_bits(width)
    loads = [0] * checks
    found: list[int] = []
    for weight in range(3, checks + 1, 2):
        left = list(itertools.combinations(range(checks), weight))
        while left and len(found) < width:
            # the rows of the fewest ones first
            best = min(left, key=lambda rows: sorted((loads[row] for row in rows), reverse=True))
            left.remove(best)
            found.append(sum(1 << row for row in best))
            for row in best:
                loads[row] += 1
    return tuple(found)


def check_bits(width: int) -> int:
    """Return how many check bits a word of so many bits has: as few as there can be.

    Columns of odd weight are half of all there are, and each check bit has one.
    """
    checks = 1
    while (1 << (checks - 1)) - checks < width:
        checks += 1
    return checks


def words_of(ram: RamModule) -> tuple[int, ...]:
    """Return the bits of each word of a row, lowest first, check bits not included."""
    count = -(-ram.granularity // MOST_BITS)
    part = [(ram.granularity + word) // count for word in range(count)]
    return (*part,) * (ram.width // ram.granularity)


def stored(ram: RamModule) -> RamModule:
    """Return the memory that holds the rows of a memory with their check bits."""
    words = words_of(ram)
    parts = ram.width // ram.granularity
    width = sum(words) + sum(map(check_bits, words))
    by = "" if parts == 1 else f"_by_{width // parts}"
    name = f"{_ROWS}{ram.depth}x{width}{by}"
    return dataclasses.replace(ram, module=name, width=width, granularity=width // parts)


def secded_text(
    module: str, digest: str, rams: Sequence[RamModule], *, rows: int = SUBARRAY_ROWS
) -> str:
    """Return Verilog with all modules of memories, which correct errors.

    Parameters
    ----------
    module, digest
        Top module and configuration, for the head.
    rams
        Of the top module.
    rows
        Of a subarray, a power of two.
    """
    memories = "".join(_memory(one) for one in rams)
    widths = sorted({width for one in rams for width in words_of(one)})
    codes = "".join(encoder_text(width) + decoder_text(width) for width in widths)
    storing: dict[str, str] = {}
    for one in rams:
        storing |= rows_texts(stored(one), rows)
    head = Template(_HEAD).substitute(module=module, digest=digest, rows=rows)
    rows_text = "".join(storing.values())
    return f"{head}{memories}{codes}\n`ifndef {ROWS_MACRO}{rows_text}`endif\n"


def encoder_name(width: int) -> str:
    """Return the name of the module that adds check bits to a word."""
    return f"gscn_secded_encoder_{width}"


def decoder_name(width: int) -> str:
    """Return the name of the module that corrects a word."""
    return f"gscn_secded_decoder_{width}"


def encoder_text(width: int) -> str:
    """Return the module that adds check bits to a word of so many bits: `data` to `word`."""
    sums = [f"    ^(data & {mask})," for mask in _sums(width)]
    return _ENCODER.substitute(_sizes(width), name=encoder_name(width), sums="\n".join(sums))


def decoder_text(width: int) -> str:
    """Return the module that corrects a word of so many bits: `word` to `data`, and what it met."""
    low = bits_text(width)
    every = [*columns(width), *(1 << check for check in range(check_bits(width)))]
    checks = check_bits(width)
    return _DECODER.substitute(
        _sizes(width),
        name=decoder_name(width),
        sums=",\n".join(f"    ^(word{low} & {mask})" for mask in _sums(width)),
        columns=",\n".join(f"    syndrome == {checks}'b{one:0{checks}b}" for one in every[::-1]),
    )


def _sums(width: int) -> list[str]:
    """Return constants of Verilog: of each check bit what it is the sum of, highest first."""
    masks = [
        sum((column >> check & 1) << bit for bit, column in enumerate(columns(width)))
        for check in range(check_bits(width))
    ]
    return [f"{width}'h{mask:x}" for mask in masks[::-1]]


def _sizes(width: int) -> dict[str, str | int]:
    checks = check_bits(width)
    return {
        "width": width,
        "top": width + checks - 1,
        "data_bits": bits_text(width),
        "check_bits": bits_text(checks),
        "stored_bits": bits_text(width + checks),
    }


def _memory(ram: RamModule) -> str:
    """Return a module of a memory that encodes what is written and corrects what is read."""
    rows, widths = stored(ram), words_of(ram)
    words = []
    low = stored_low = 0
    for number, width in enumerate(widths):
        top, stored_top = low + width, stored_low + width + check_bits(width)
        words.append(
            _WORD.substitute(
                number=number,
                encoder=encoder_name(width),
                decoder=decoder_name(width),
                own=f"[{top - 1}:{low}]",
                stored=f"[{stored_top - 1}:{stored_low}]",
            )
        )
        low, stored_low = top, stored_top
    return _MEMORY.substitute(
        port_texts(ram.depth, ram),
        name=ram.module,
        rows=rows.module,
        stored_bits=bits_text(rows.width),
        word_bits=bits_text(len(widths)),
        words="\n".join(words),
    )
