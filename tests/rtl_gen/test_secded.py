"""Memories that correct errors are as those without, whichever bit of a word is wrong."""

from __future__ import annotations

import math
import re
from string import Template

import pytest

from gscn.errors import InputError
from gscn.rtl_gen.secded import (
    ALARM_MACRO,
    MOST_BITS,
    ROWS_MACRO,
    SECDED_FILE,
    check_bits,
    columns,
    decoder_name,
    decoder_text,
    encoder_name,
    encoder_text,
    secded_text,
    stored,
    words_of,
)
from gscn.rtl_gen.yosys import run_yosys
from tests.rtl_gen.test_rams import SIZES, check_asserts, check_equal, ram
from tests.rtl_gen.tools import lint

pytest.importorskip("pyosys")
WIDTHS = (1, 4, 8, 12, 25, 28, 32, 48, 64)
"""Bits of words: few, and those of the presets."""
FEW = (1, 4, 12, 48)
"""Those that are proved by default."""


@pytest.mark.parametrize("width", range(1, MOST_BITS + 1))
def test_columns_are_odd_and_as_light_as_there_are(width):
    found, checks = columns(width), check_bits(width)
    assert len({*found, *(1 << check for check in range(checks))}) == width + checks
    assert max(found) < 1 << checks
    weights = [column.bit_count() for column in found]
    light = [n for n in range(3, checks + 1, 2) for _ in range(math.comb(checks, n))]
    assert weights == light[:width]
    ones = [sum(column >> check & 1 for column in found) for check in range(checks)]
    assert max(ones) - min(ones) <= 2
    # with one check bit less there are fewer columns of odd weight than bits
    assert (1 << (checks - 2)) < width + checks - 1


def test_check_bits_are_those_of_the_known_codes():
    assert [check_bits(width) for width in (4, 8, 16, 32, 64)] == [4, 5, 6, 7, 8]


def prove(directory, width, claims):
    """Prove the assertions of a module `claims` of encoders and decoders.

    Raises
    ------
    InputError
        One does not hold.
    """
    (directory / "claims.v").write_text(encoder_text(width) + decoder_text(width) + claims)
    run_yosys(
        [
            *("read_verilog -formal claims.v", "hierarchy -top claims", "proc", "flatten"),
            *("chformal -lower", "opt -full", "techmap", "opt"),
            # sums of the same bits become one: by itself the solver does not find that they are
            *("abc -script +strash;ifraig;map", "sat -verify -prove-asserts -set-assumes"),
        ],
        directory,
    )


def sums_claims(width):
    """Return claims that each bit of data adds the same word, whatever the others are.

    And that this word, added to any, changes but that bit of what a decoder finds. So what it finds
    with some bits of a word inverted is as with the same ones of the word of zeros.
    """
    data, word, last = f"[{width - 1}:0]", f"[{width + check_bits(width) - 1}:0]", width - 1
    return f"""
module claims (input {data} data, input {word} word);
  wire {word} kept;
  wire {data} found;
  wire [1:0] flags;
  {encoder_name(width)} encoder (.data(data), .word(kept));
  {decoder_name(width)} decoder (
    .word(word), .data(found), .corrected(flags[0]), .uncorrectable(flags[1])
  );
  genvar one;
  generate for (one = 0; one <= {last}; one = one + 1) begin : bits
    wire {data} bit = 1'b1 << one;
    wire {word} own, other;
    wire {data} moved;
    wire [1:0] moved_flags;
    {encoder_name(width)} alone (.data(bit), .word(own));
    {encoder_name(width)} more (.data(data ^ bit), .word(other));
    {decoder_name(width)} again (
      .word(word ^ own), .data(moved), .corrected(moved_flags[0]), .uncorrectable(moved_flags[1])
    );
    always @* begin
      assert (other == (kept ^ own));
      assert (own[{last}:0] == bit);
      assert (moved == (found ^ bit));
      assert (moved_flags == flags);
    end
  end endgenerate
endmodule
"""


def zeros_claims(width):
    """Return claims on what a decoder finds in the word of zeros with bits inverted."""
    word = f"[{width + check_bits(width) - 1}:0]"
    return f"""
module claims (input {word} first, input {word} second);
  wire [{width - 1}:0] found;
  wire {word} zeros;
  wire corrected, uncorrectable;
  {encoder_name(width)} encoder (.data({width}'b0), .word(zeros));
  {decoder_name(width)} decoder (
    .word(zeros ^ first ^ second), .data(found),
    .corrected(corrected), .uncorrectable(uncorrectable)
  );
  always @* begin
    assume (!(first & (first - 1'b1)));
    assume (!(second & (second - 1'b1)));
    assert (!zeros);
    if (!second) begin
      assert (!found);
      assert (corrected == |first);
      assert (!uncorrectable);
    end
    if (first && second && first != second) begin
      assert (uncorrectable);
      assert (!corrected);
    end
  end
endmodule
"""


@pytest.mark.parametrize(
    "width", [pytest.param(one, marks=[] if one in FEW else [pytest.mark.slow]) for one in WIDTHS]
)
def test_any_bit_is_corrected_and_any_two_are_detected(width, tmp_path):
    prove(tmp_path, width, sums_claims(width))
    prove(tmp_path, width, zeros_claims(width))


def disturbed(one, text, assumption, claim):
    """Return Verilog of a memory whose words show other bits inverted in each cycle.

    Parameters
    ----------
    one, text
        The memory, its Verilog.
    assumption
        Of each word's `flips`, the bits inverted.
    claim
        Of what the alarm is told, `$corrected` and `$uncorrectable`: `counts_now` says whether a
        row is shown that was read in the cycle before, and not written.
    """
    before, alarm, after = re.split(r"(  gscn_memory_alarm alarm \(.*?\n  \);\n)", text, flags=re.S)
    told = dict(re.findall(r"\.(\w+)\((.*)\),?\n", alarm))
    width = stored(one).width
    assumed, low = [], 0
    for word in words_of(one):
        size = word + check_bits(word)
        assumed.append(assumption.replace("flips", f"flips[{low + size - 1}:{low}]"))
        low += size
    found = "    .read__data(found),\n"
    assert found in before
    return (
        before.replace(found, "    .read__data(shown),\n")
        + f"""
  wire [{width - 1}:0] shown;
  (* anyseq *) reg [{width - 1}:0] flips;
  assign found = shown ^ flips;
  reg read = 0, met = 0, late = 0;
  always @(posedge clk) begin
    read <= read__en;
    met <= write__en != 0 && read__addr == write__addr;
    late <= rst;
  end
  wire counts_now = read && !met && !late;
  always @* begin
    {" ".join(assumed)}
    {Template(claim).substitute(told)}
  end
"""
        + alarm
        + after
    )


ONE = "assume (!(flips & (flips - 1'b1)));"
ONE_TOLD = "assert (($corrected) == (counts_now && flips)); assert (!($uncorrectable));"
OTHERS = "(flips & (flips - 1'b1))"
PAIR = f"assume ({OTHERS} && !({OTHERS} & ({OTHERS} - 1'b1)));"
PAIR_TOLD = "assert (($uncorrectable) == counts_now); assert (!($corrected));"


def secded(one):
    """Return a memory's Verilog."""
    return secded_text("top", "digest", [one], rows=2)


@pytest.mark.parametrize(
    ("depth", "width", "granularity"),
    [pytest.param(*SIZES[0], marks=pytest.mark.slow), *SIZES[1:]],
)
def test_a_memory_with_a_wrong_bit_in_each_word_is_as_one_without(
    depth, width, granularity, tmp_path
):
    one = ram(depth, width, granularity)
    check_equal(tmp_path, one, disturbed(one, secded(one), ONE, ONE_TOLD))


@pytest.mark.parametrize(("depth", "width", "granularity"), SIZES[1:])
def test_two_wrong_bits_of_a_word_raise_the_alarm(depth, width, granularity, tmp_path):
    one = ram(depth, width, granularity)
    check_asserts(tmp_path, one, disturbed(one, secded(one), PAIR, PAIR_TOLD))
    # and are not as the memory is
    with pytest.raises(InputError, match="proof did fail"):
        check_equal(tmp_path, one, disturbed(one, secded(one), PAIR, ""))


def test_wrong_codes_and_alarms_are_found(tmp_path):
    one = ram(4, 3, 3)
    text = secded(one)
    for good, bad in (
        ("4'b1011", "4'b1110"),
        ("^(data & 3'h7)", "^(data & 3'h5)"),
        ("^(word[2:0] & 3'h7)", "^(word[2:0] & 3'h3)"),
        ("word[2:0] ^ wrong[2:0]", "word[2:0]"),
        ("|syndrome && !corrected", "|syndrome"),
        ("!rst && read__en", "read__en"),
        ("read__en && !(", "!("),
        ("write__addr == read__addr", "0"),
    ):
        assert good in text, good
        with pytest.raises(InputError, match="proof did fail"):
            check_equal(tmp_path, one, disturbed(one, text.replace(good, bad), ONE, ONE_TOLD))


def test_what_stores_and_the_alarm_can_be_of_another_make(tmp_path):
    one = ram(70, 128, 32)
    text = secded_text("top", "digest", [one, ram(9, 512, 512), ram(70, 32, 32)])
    modules = re.findall(r"^module (\w+)", text, re.M)
    assert len(set(modules)) == len(modules)
    assert "gscn_secded_rows_70x156_by_39" in modules
    assert "gscn_secded_rows_9x576" in modules
    memories = tmp_path / SECDED_FILE
    memories.write_text(text)
    settings = {"top": one.module, "options": ("-Wall", "-Wno-UNUSEDSIGNAL", "-Wno-DECLFILENAME")}
    assert lint(memories, **settings) == (0, "")
    own = []
    for macro in (ROWS_MACRO, ALARM_MACRO):
        own.append(tmp_path / f"{macro}.v")
        own[-1].write_text(text.split(f"`ifndef {macro}\n")[1].split("`endif")[0])
    settings["options"] += (f"+define+{ROWS_MACRO}", f"+define+{ALARM_MACRO}")
    assert lint(memories, *own, **settings) == (0, "")
    for missing in own:
        status, said = lint(memories, missing, **settings)
        assert status != 0
        assert "Cannot find file containing module" in said
