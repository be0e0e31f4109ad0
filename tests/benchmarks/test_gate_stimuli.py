# amaranth: UnusedElaboratable=no
"""What PEs are given at their gates: waves read, passes as products of matrices, dense PEs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from benchmarks import gate_stimuli
from benchmarks.gate_stimuli import (
    Port,
    dense_operands,
    dense_stimulus,
    first_image,
    operand_rows,
    pe_stimulus,
    read_waves,
    stimulus,
)
from gscn.array import ARRAYS
from gscn.conv import ConvShape, Pass
from gscn.cosim.layer import PassInput
from gscn.errors import InputError
from gscn.golden.oracle.integers import conv_integers
from gscn.hw.dense.dense_pe import DensePe
from gscn.hw.pe.worker import Worker
from gscn.rtl_gen.verilog import to_verilog

SHAPE = ConvShape(n=2, c=3, h=5, w=6, k=4, r=3, s=2, padding=(1, 0))
WAVES = """\
$scope module top $end
 $scope module other $end $var wire 1 z busy $end $upscope $end
 $scope module pe0 $end
  $var wire 1 c clk $end
  $var wire 4 a i [3:0] $end
  $scope module shared $end
   $var wire 4 x i [3:0] $end
   $var wire 1 b busy $end
   $scope module deeper $end
    $var wire 1 y more $end
   $upscope $end
  $upscope $end
 $upscope $end
 $scope module behind $end
  $scope module pe0 $end
   $var wire 1 d more $end
  $upscope $end
 $upscope $end
$upscope $end
$enddefinitions $end
#0
0c
b0000 a
0b
#5
1c
b0011 a
#10
0c
#15
1c
b1100 a
1b
0z
#20
0c
0b
#25
1c
#30
0c
"""


def made(which, shape=SHAPE, density=0.5):
    rng = np.random.default_rng(3)
    first, second = (
        rng.integers(-99, 99, size) * (rng.random(size) < density)
        for size in shape.operand_shapes(which)
    )
    return PassInput(layer="made", shape=shape, which=which, first=first, second=second)


def test_ports_are_read_before_each_edge_of_the_clock(tmp_path):
    path = tmp_path / "some.vcd"
    # a file has a statement per line
    path.write_text(WAVES.replace(" $end $", " $end\n $"))
    ports = [Port(name="i", direction="input", width=4), Port(name="busy", direction="o", width=1)]
    assert [*read_waves(path, ("pe0", "shared"), ports)] == [[0, 0], [3, 0], [12, 0]]
    unknown = [Port(name="more", direction="output", width=1)]
    with pytest.raises(InputError, match=r"ports of pe0, not be without \['more'\]"):
        next(read_waves(path, ("pe0", "shared"), unknown))


@pytest.mark.parametrize("which", list(Pass))
def test_a_pass_as_matrices_has_the_results_of_the_oracle(which):
    one = made(which)
    rows, columns = operand_rows(one)
    right = conv_integers(one.shape, which, one.first, one.second)
    if which is Pass.WEIGHT_GRAD:
        found = rows @ columns.T
    else:
        n, (height, width) = one.shape.n, right.shape[2:]
        found = (rows @ columns.T).reshape(len(rows), n, height, width).transpose(1, 0, 2, 3)
    assert (found.reshape(right.shape) == right).all()


def test_other_convolutions_are_refused():
    with pytest.raises(InputError, match="no stride, dilation or groups"):
        operand_rows(made(Pass.FORWARD, dataclasses.replace(SHAPE, stride=(2, 1))))


def test_the_first_image_is_cut_out():
    for which in Pass:
        one = first_image(made(which))
        assert one.shape.n == 1
        assert (one.first.shape, one.second.shape) == one.shape.operand_shapes(which)


def test_a_dense_pe_gets_whole_sums_with_zeros_or_without():
    one = made(Pass.FORWARD)
    rows, columns = operand_rows(one)
    length = rows.shape[1]
    given = dense_operands(one, zeros=True, cycles=3 * length)
    assert [place for place, (_, _, ends) in enumerate(given) if ends] == [
        length - 1, 2 * length - 1, 3 * length - 1
    ]  # fmt: skip
    for start in range(0, len(given), length):
        own = given[start : start + length]
        assert [a for a, *_ in own] in rows.tolist()
        assert [b for _, b, _ in own] in columns.tolist()
    given = dense_operands(one, zeros=False, cycles=40)
    assert len(given) == 40
    assert [a for a, *_ in given] == np.resize(rows[rows != 0], 40).tolist()
    assert all(a and b for a, b, _ in given)


def test_a_dense_pe_is_run_as_its_ports_say():
    config = ARRAYS["tiny"]
    directions = to_verilog(lambda: DensePe(config=config), "dense_pe").ports
    ports = [
        Port(name=name, direction=direction, width=width)
        for name, (direction, width) in directions.items()
        if name != "clk"
    ]
    operands = [(3, 5, False), (-2, 7, True), (100, -100, True), *[(0, 0, False)] * 5]
    found = dense_stimulus(operands, ports, config)
    assert (found.first, found.products, found.cycles) == (1, 8, 8)
    sums, place = [], 0
    for port in ports:
        if port.direction == "output":
            own = [word >> place & (1 << port.width) - 1 for word in found.outputs]
            place += port.width
            if port.name == "sums_o__valid":
                valid = own
            elif port.name == "sums_o__payload":
                sums = own
    shown = [one for one, counts in zip(sums, valid, strict=True) if counts]
    assert shown == [1, (-10_000) % (1 << config.acc_width)]


def test_ports_are_joined_from_the_lowest_bit():
    ports = [
        Port(name="a", direction="input", width=3),
        Port(name="o", direction="output", width=2),
        Port(name="b", direction="input", width=4),
    ]
    found = stimulus([[5, 2, 9], [-1, 1, 0]], ports, 1, 7)
    assert (found.inputs, found.outputs) == ([5 | 9 << 3, 7], [2, 1])
    assert (found.first, found.products, found.cycles) == (1, 7, 1)


@pytest.mark.slow
@pytest.mark.cosim
def test_a_pe_gets_what_the_generated_verilog_gives_it(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gate_stimuli, "CONFIG", "tiny")
    directions = to_verilog(lambda: Worker(config=ARRAYS["tiny"]), "pe").ports
    ports = [
        Port(name=name, direction=direction, width=width)
        for name, (direction, width) in directions.items()
        if name != "clk"
    ]
    one = made(Pass.FORWARD, ConvShape(n=1, c=8, h=8, w=8, k=8, r=3, s=3, padding=(1, 1)))
    found = pe_stimulus(one, ports, cycles=300)
    assert found.cycles == 300
    assert 100 < found.products <= 300
