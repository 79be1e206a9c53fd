"""Compressed networks obey the contract and compute what the float network computes."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eie.compression.compress import STAGES, compress
from eie.compression.recipe import METHODS
from eie.compression.report import sqnr_db
from eie.errors import NetworkError
from eie.network.layer_check import accumulator_bound
from eie.network.model import Dense
from tests.driver.compression.networks import SHAPES, X, forward, network, run


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=4),
    density=st.floats(0.05, 1),
    allocation=st.sampled_from(["uniform", "magnitude"]),
    sharing=st.sampled_from(["kmeans", "linear"]),
)
def test_any_network_keeps_exact_counts_and_the_contract(seed, sizes, density, allocation, sharing):
    shapes = [(rows, columns) for columns, rows in pairwise(sizes)]
    layers = network(shapes, seed)
    try:
        model = compress(layers, density, allocation=allocation, sharing=sharing)
    except NetworkError as error:
        assert "keeps none" in str(error)
        return
    total = sum(rows * columns for rows, columns in shapes)
    if allocation == "magnitude":
        assert sum(layer.nonzeros for layer in model.layers) == round(density * total)
    for dense, layer in zip(layers, model.layers, strict=True):
        if allocation == "uniform":
            assert layer.nonzeros == round(density * dense.weight.size)
        assert layer.codes.min(initial=1) >= 1 and layer.codes.max(initial=1) <= 15
        assert accumulator_bound(layer) < 2**47 and 0 <= layer.shift <= 47
        kept = np.abs(dense.weight[layer.dense_codes() > 0]).min(initial=np.inf)
        assert np.abs(dense.weight[layer.dense_codes() == 0]).max(initial=0) <= kept


def test_the_integers_follow_the_float_network_with_the_same_weights_to_60_db():
    layers = network(SHAPES)
    model = compress(layers, 0.3, X[:100])
    shared = [layer.to_dense() for layer in model.layers]
    assert sqnr_db(forward(shared, X[100:]), run(model, X[100:])) > 60


@pytest.mark.parametrize("density", [1.0, 0.3, 0.09])
def test_the_integers_follow_the_pruned_float_network_to_15_db(density):
    layers = network(SHAPES)
    model = compress(layers, density, X[:100], method="magnitude")
    masks = [layer.dense_codes() > 0 for layer in model.layers]
    assert sqnr_db(forward(layers, X[100:], masks), run(model, X[100:])) > 15


def test_a_pruned_and_shared_network_is_kept_as_it_is():
    rng = np.random.default_rng(1)
    layers = []
    for i, (rows, columns) in enumerate(SHAPES):
        values = rng.integers(-(2**15) + 1, 2**15, 15) / 2**15
        values[0] = 32767 / 2**15  # so that 15 fraction bits are the most that fit
        codes = rng.integers(0, 15, (rows, columns))
        weight = np.where(rng.random((rows, columns)) < 0.2, values[codes], 0)
        layers.append(Dense(weight, None, "relu" if i < 2 else None))
    model = compress(layers, None, X)
    for dense, layer in zip(layers, model.layers, strict=True):
        assert np.array_equal(layer.dense_codes() > 0, dense.weight != 0)
        assert np.array_equal(layer.dense_weights(), dense.weight)


def test_fewer_than_15_values_leave_zeros_at_the_end_of_the_codebook():
    model = compress([Dense([[0.5, 0, -0.25], [0.5, 0.5, 0]])], None)
    assert model.layers[0].codebook.tolist() == [0, -(2**13), 2**14] + [0] * 13
    assert model.layers[0].dense_codes().tolist() == [[2, 0, 1], [2, 2, 0]]


def test_a_shared_value_that_rounds_to_0_keeps_its_code():
    model = compress([Dense([[1.0, 1e-9]])], None)
    assert model.layers[0].codes.tolist() == [2, 1]
    assert model.layers[0].codebook[:3].tolist() == [0, 0, 2**14]


def test_a_layer_of_zeros_passes_its_bias():
    model = compress([Dense(np.zeros((2, 3)), [0.5, -0.25])], None, np.ones((1, 3)))
    assert run(model, np.ones((1, 3), np.float32)).tolist() == [[0.5, -0.25]]


def test_metadata_is_strict_json():
    model = compress(network(SHAPES), [0.1, None, 0.5], X)
    recipe = json.loads(json.dumps(model.metadata, allow_nan=False))["compression"]
    assert recipe["density"] == [0.1, None, 0.5] and recipe["sharing"] == "kmeans"
    assert [layer["nonzeros"] for layer in recipe["layers"]] == [2400, 9600, 400]


def test_numpy_numbers_make_the_same_metadata():
    model = compress(network(SHAPES), np.float32(0.25), X, headroom=np.float64(2))
    assert json.loads(json.dumps(model.metadata))["compression"]["density"] == 0.25
    model = compress(network(SHAPES), np.array([0.25, 0.5, 1]), X)
    assert json.loads(json.dumps(model.metadata))["compression"]["density"] == [0.25, 0.5, 1]


@pytest.mark.parametrize("method", METHODS)
def test_progress_hears_every_stage_of_every_layer_in_order(method):
    heard = []
    compress(network(SHAPES), 0.3, X, method=method, progress=lambda layer, stage: heard.append((layer, stage)))
    allocated = [(layer, "allocate") for layer in range(3)] if method == "compensated" else []
    assert heard == allocated + [(layer, stage) for layer in range(3) for stage in STAGES]


def test_a_file_gives_the_model_its_name_and_the_same_layers(tmp_path):
    layers = network(SHAPES)
    arrays = {f"{layer.name}.{kind}": getattr(layer, kind) for layer in layers for kind in ("weight", "bias")}
    np.savez(tmp_path / "lenet.npz", **arrays)
    model, same = compress(tmp_path / "lenet.npz", 0.3, X), compress(layers, 0.3, X)
    assert model.name == "lenet" and same.name == "model"
    assert [layer.name for layer in model.layers] == ["fc0", "fc1", "fc2"]
    assert np.array_equal(run(model, X[:5]), run(same, X[:5]))


@pytest.mark.parametrize("headroom", [0.5, float("nan"), float("inf")])
def test_headroom_below_1_is_refused(headroom):
    with pytest.raises(NetworkError, match="headroom"):
        compress(network(SHAPES), 0.3, X, headroom=headroom)


def test_an_unknown_sharing_is_refused():
    with pytest.raises(NetworkError, match="'median'"):
        compress(network(SHAPES), 0.3, X, sharing="median")


def test_the_callers_weights_and_inputs_are_left_alone():
    layers, x = network(SHAPES), X.copy()
    before = [layer.weight.copy() for layer in layers]
    compress(layers, 0.3, x)
    assert np.array_equal(x, X)
    assert all(np.array_equal(layer.weight, copy) for layer, copy in zip(layers, before, strict=True))


@pytest.mark.parametrize(
    "options",
    [
        {"method": "best"},
        {"effort": "much"},
        {"allocation": "fair"},
        {"allocation": "loss", "method": "magnitude"},
        {"method": "compensated", "calibration": None},
    ],
)
def test_unknown_and_contradictory_ways_are_refused(options):
    with pytest.raises(NetworkError, match="|".join(map(str, options))):
        compress(network(SHAPES), 0.3, **{"calibration": X, **options})
