"""What a list of layers leaves open."""

from __future__ import annotations

import pytest

from gscn.conv import ConvShape
from gscn.perf.workload.listed import Listed, network_of_list


def listed(name, h, c, k, *, taps=3, stride=1, **others):
    shape = ConvShape(n=1, c=c, h=h, w=h, k=k, r=taps, s=taps, stride=(stride, stride))
    return Listed(name=name, shape=shape, where="here", **others)


def test_of_sizes_with_the_same_outputs_that_is_taken_which_a_layer_makes():
    # Outputs of 56 and 28 rows, by the least maps that give them.
    layers = [
        listed("a", 57 + 56, 3, 8, stride=2, slack=(1, 1)),
        listed("b", 55, 8, 8, taps=1, stride=2, slack=(1, 1)),
    ]
    net = network_of_list("net", layers)
    assert [(one.shape.h, one.shape.padding, one.shape.p) for one in net.layers] == [
        (112, (1, 1), 56),
        (56, (0, 0), 28),
    ]


def test_padding_that_a_file_says_stands():
    shape = ConvShape(n=1, c=3, h=8, w=8, k=3, r=3, s=3, padding=(1, 1))
    layers = [Listed(name=name, shape=shape, where="here", padded=True) for name in "ab"]
    net = network_of_list("net", layers, notes=("Said.",))
    assert [one.shape for one in net.layers] == [shape, shape]
    assert net.notes == ("Said.",)


@pytest.mark.parametrize(("taps", "pad"), [(3, 1), (5, 2), (7, 3)])
def test_a_kernel_of_even_size_is_padded_by_nothing(taps, pad):
    layers = [listed("a", 16, 3, 4, taps=taps), listed("b", 16, 4, 4, taps=2, stride=2)]
    layers.append(listed("c", 8, 4, 4, taps=taps))
    net = network_of_list("net", layers)
    assert [one.shape.padding[0] for one in net.layers] == [pad, 0, pad]
