"""Older forms of operators are brought to the newest, where their defaults or names were others."""

import numpy as np
from onnx import TensorProto, helper

from eie.network.evaluation import evaluate
from eie.network.graph_readers import read_graph

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 3, 7, 6)).astype(np.float32)


def computed(version, operator, inputs, **attributes):
    kinds = {"f": TensorProto.FLOAT, "i": TensorProto.INT64}
    values = [
        helper.make_tensor_value_info(name, kinds[x.dtype.kind], list(map(int, x.shape))) for name, x in inputs.items()
    ]
    node = helper.make_node(operator, list(inputs), ["y"], **attributes)
    graph = helper.make_graph([node], "g", values, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=8)
    return evaluate(read_graph(model), inputs)["y"]


def test_regions_were_not_moved_by_half_a_pixel_before_version_16():
    regions = np.array([[1, 1, 4.5, 5], [0, 2, 3, 6.5]], np.float32)
    given = {"x": X, "regions": regions, "pictures": np.array([1, 0])}
    old = computed(10, "RoiAlign", given, output_height=2, output_width=3)
    size = {"output_height": 2, "output_width": 3}
    mode = {"coordinate_transformation_mode": "output_half_pixel"}
    assert np.array_equal(old, computed(16, "RoiAlign", given, **size, **mode))
    assert not np.allclose(old, computed(16, "RoiAlign", given, **size))
    moved = {**given, "regions": regions + 0.5}
    assert np.allclose(old, computed(16, "RoiAlign", moved, **size), atol=1e-5)


def test_scatter_is_that_of_elements():
    indices = RNG.permuted(np.broadcast_to(np.arange(6), X.shape), axis=3)[..., :2].astype(np.int64)
    given = {"x": X, "indices": indices, "updates": RNG.standard_normal(indices.shape).astype(np.float32)}
    want = X.copy()
    np.put_along_axis(want, indices, given["updates"], 3)
    assert np.array_equal(computed(10, "Scatter", given, axis=3), want)
