"""A user hears of a network that no longer computes what it did, and why."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

import eie
from eie.compression.report import CompressionReport
from eie.compression.warning import accuracy_warnings
from eie.errors import AccuracyWarning
from eie.network.graph import Graph, Node, Value

RNG = np.random.default_rng(0)
WEIGHT = RNG.standard_normal((256, 256)).astype(np.float32)
X = RNG.standard_normal((64, 256)).astype(np.float32)


def said(call):
    """Return what a call warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(warning.message) for warning in caught if warning.category is AccuracyWarning]


def test_the_report_of_a_network_pruned_too_far_is_true_and_there_is_a_warning():
    with pytest.warns(AccuracyWarning, match=r"SQNR of 2\.\d dB.*pruning costs most.*'layer0'.*keep more weights"):
        model = eie.compress([eie.Dense(WEIGHT)], 0.1, X, method="magnitude")
    row = CompressionReport.from_dict(model.metadata["compression"]).layers[0]
    assert row.output_sqnr_db < 3 and row.pruned_sqnr_db > 20


def test_a_network_that_holds_warns_of_nothing():
    assert said(lambda: eie.compress([eie.Dense(WEIGHT)], 0.6, X)) == []


@pytest.mark.parametrize("weight", [np.round(WEIGHT * 20) / 20, WEIGHT])
def test_density_none_says_of_layers_of_more_values_than_a_codebook_holds_that_they_are_lost(weight):
    (text,) = said(lambda: eie.compress([eie.Dense(weight, name="fc")], None, X))
    assert f"'fc' has {len(np.unique(weight[weight != 0])):,} distinct weights" in text
    assert "holds 15" in text and "dB" in text and "terms=2" in text
    by_layer = [eie.Dense(weight, None, "relu", "first"), eie.Dense(weight, name="last")]
    (text,) = said(lambda: eie.compress(by_layer, {"first": 0.9, "last": None}, X))
    assert "'last'" in text and "'first'" not in text


def test_density_none_says_nothing_where_values_are_kept():
    assert said(lambda: eie.compress([eie.Dense(np.sign(WEIGHT))], None, X)) == []
    assert said(lambda: eie.compress([eie.Dense(np.round(WEIGHT * 20) / 20)], None, X, terms=2)) == []
    assert said(lambda: eie.compress([eie.Dense(WEIGHT)], 1.0, X)) == []


def test_density_none_says_the_same_of_a_graphs_linear_maps():
    nodes = [Node("Gemm", ("x", "w"), ("h",), {"transB": 1}, "first"), Node("Tanh", ("h",), ("y",))]
    graph = Graph(nodes, [Value("x", "float32", ("batch", 256))], [Value("y")], {"w": WEIGHT})
    (text,) = said(lambda: eie.compress(graph, None, X))
    assert "'first' has" in text and "outputs an SQNR" in text


def test_without_calibration_the_warning_says_what_inputs_it_is_about():
    (text,) = said(lambda: eie.compress([eie.Dense(WEIGHT)], 0.1))
    assert "no calibration" in text


def test_columns_of_another_scale_are_named_as_the_cause():
    weight, x = WEIGHT.copy(), X.copy()
    weight[:, 3] *= 1e5
    x[:, 3] *= 1e-5
    (text,) = said(lambda: eie.compress([eie.Dense(weight, name="fc")], 1.0, x))
    assert "from layer 'fc' on" in text and "column 3 are 1e+05 times as large as most columns'" in text


def test_a_layer_that_is_lost_is_named_though_the_outputs_hold():
    wide = np.concatenate([WEIGHT[:4], WEIGHT[4:] * 1e-6])
    last = np.zeros((3, 256), np.float32)
    last[:, :4] = 1.0
    report = CompressionReport.from_dict(
        eie.compress([eie.Dense(wide), eie.Dense(last)], 1.0, X).metadata["compression"]
    )
    rows = [replace(report.layers[0], output_sqnr_db=4.0), report.layers[1]]
    layers = [eie.Dense(wide), eie.Dense(last)]
    (text,) = accuracy_warnings(layers, CompressionReport(tuple(rows)), {}, True)
    assert "layer 'layer0' no longer computes what it did" in text and "4.0 dB" in text


def test_a_layer_that_saw_one_vector_is_named():
    weight = np.random.default_rng(0).standard_normal((4, 6, 1)).astype(np.float32)
    nodes = [Node("Conv", ("x", "w"), ("c",), name="first"), Node("Reshape", ("c", "one"), ("y",))]
    constants = {"w": weight, "one": np.array([1, -1])}
    graph = Graph(nodes, [Value("x", "float32", (1, 6, 1))], [Value("y")], constants)
    x = np.random.default_rng(1).standard_normal((1, 6, 1)).astype(np.float32)
    with pytest.warns(AccuracyWarning, match="layer 'first' saw 1 vector while it was fitted: how large"):
        eie.compress(graph, 1.0, x, terms=2)
