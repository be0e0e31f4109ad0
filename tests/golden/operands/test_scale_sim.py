"""Files for SCALE-Sim, read by its own loaders."""

from __future__ import annotations

import numpy as np
import pytest
from scalesim.layout_utils import layouts
from scalesim.scale_config import scale_config
from scalesim.topology_utils import topologies

from gscn.conv import Pass
from gscn.errors import InputError
from gscn.golden.operands.matrices import products
from gscn.golden.operands.scale_sim import BLOCK, row, write
from tests.golden.operands.recorded import SHAPES, recorded


def all_products():
    return [
        product
        for kind, shape in SHAPES.items()
        for which in Pass
        for product in products(kind, shape, recorded(shape, which))
    ]


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # its loaders leave files open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_its_loaders_read_what_is_written(tmp_path):
    made = all_products()
    write(made, tmp_path)
    topology = topologies()
    topology.load_arrays(str(tmp_path / "topology.csv"), mnk_inputs=True)
    topology.topo_calc_hyperparams()
    assert topology.get_num_layers() == len(made)
    for index, product in enumerate(made):
        assert topology.get_layer_name(index) == product.name
        sizes = {product.rows, product.columns}
        assert topology.get_layer_mac_ops(index) == (
            product.rows * product.columns * product.contraction
        )
        assert topology.get_layer_window_size(index) == product.contraction
        assert {
            topology.get_layer_ifmap_dims(index)[0],
            topology.get_layer_num_filters(index),
        } == sizes
        kept, block = topology.get_layer_sparsity_ratio(index)
        right = np.stack(list(product.right_rows()))
        least = min(np.count_nonzero(one) / one.size for one in (product.left, right))
        assert block == min(BLOCK, product.contraction)
        # The least of its shares that is not below, so that no product is lost.
        assert kept / block >= least - 1e-9
        assert kept == 1 or (kept - 1) / block < least
    configuration = scale_config()
    configuration.read_conf_file(str(tmp_path / "scale.cfg"))
    assert configuration.valid_conf_flag
    assert configuration.sparsity_support
    assert not configuration.sparsity_optimized_mapping
    layout = layouts()
    layout.load_arrays(str(tmp_path / "layout.csv"), mnk_inputs=True)
    assert layout.num_layers == 0


def test_the_sparser_operand_is_the_filter():
    shape = SHAPES["plain"]
    one = recorded(shape, Pass.FORWARD)
    one.first[...] = 0
    one.first[0, 0, 0, 0] = 1
    (product,) = products("layer", shape, one)
    assert row(product) == ("layer.forward", 2 * 6 * 5, 4, 27, "1:27")
    one = recorded(shape, Pass.FORWARD)
    one.second[...] = 0
    (product,) = products("layer", shape, one)
    assert row(product) == ("layer.forward", 4, 2 * 6 * 5, 27, "1:27")


def test_a_name_that_would_be_two_columns_is_refused():
    shape = SHAPES["plain"]
    (product,) = products("a,b", shape, recorded(shape, Pass.FORWARD))
    with pytest.raises(InputError, match=r"must have no comma: 'a,b\.forward'"):
        row(product)
