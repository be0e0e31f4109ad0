"""Where weights of layers are, and what they are computed from."""

from __future__ import annotations

import pytest
from torch import nn
from torch.nn.utils import parametrizations, prune

from gscn.golden.methods.weights import is_linear, weight_name, weight_of, weight_sources


def test_attention_has_the_weight_of_a_linear_layer_under_its_own_name():
    attention, linear, conv = nn.MultiheadAttention(4, 2), nn.Linear(4, 3), nn.Conv1d(4, 2, 1)
    assert [is_linear(one) for one in (attention, linear, conv)] == [True, True, False]
    assert weight_name(attention) == "in_proj_weight"
    assert weight_of(attention) is attention.in_proj_weight
    assert weight_sources(attention)[0] is attention.in_proj_weight
    assert (weight_name(conv), weight_of(conv)) == ("weight", conv.weight)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_computed_weights_have_their_parameters_as_sources():
    normed = parametrizations.weight_norm(nn.Linear(4, 3))
    assert {id(one) for one in weight_sources(normed)} == {
        id(one) for name, one in normed.named_parameters() if "weight" in name
    }
    pruned = prune.random_unstructured(nn.Linear(4, 3), "weight", amount=0.5)
    assert weight_sources(pruned)[0] is pruned.weight_orig
    older = nn.utils.weight_norm(nn.Linear(4, 3))
    assert [id(one) for one in weight_sources(older)] == [id(older.weight_g), id(older.weight_v)]
    plain = nn.Linear(4, 3)
    del plain.weight
    plain.weight = normed.weight.detach()
    assert weight_sources(plain) == [plain.weight]
