"""Compressed networks obey the contract and compute what the float network computes."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eie.compression.compress import STAGES, compress
from eie.compression.recipe import METHODS
from eie.compression.report import CompressionReport, sqnr_db
from eie.contract.fixed_point import dequantise, quantise
from eie.errors import NetworkError
from eie.network.layer_check import accumulator_bound
from eie.network.model import Dense
from eie.network.reference import reference


def network(shapes, seed=0, bias=True):
    """Random layers of the usual variance, ReLU between them."""
    rng = np.random.default_rng(seed)
    return [
        Dense(
            rng.standard_normal((rows, columns)) * np.sqrt(2 / columns),
            rng.standard_normal(rows) * 0.1 if bias else None,
            "relu" if i < len(shapes) - 1 else None,
            f"fc{i}",
        )
        for i, (rows, columns) in enumerate(shapes)
    ]


def forward(layers, x, masks=None):
    """The float network, with only the weights that a model keeps."""
    x = x.astype(np.float64)
    for i, layer in enumerate(layers):
        weight = layer.weight if masks is None else layer.weight * masks[i]
        x = x @ weight.T.astype(np.float64) + (0 if layer.bias is None else layer.bias)
        x = np.maximum(x, 0) if layer.activation == "relu" else x
    return x


def run(model, x):
    return dequantise(reference(model, quantise(x, model.input_fraction_bits)), model.output_fraction_bits)


SHAPES = [(120, 200), (80, 120), (10, 80)]
X = np.random.default_rng(9).standard_normal((200, 200)).astype(np.float32)


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
    shared = [
        Dense(
            layer.dense_weights(),
            layer.bias * 2.0 ** -(layer.input_fraction_bits + layer.weight_fraction_bits),
            dense.activation,
        )
        for dense, layer in zip(layers, model.layers, strict=True)
    ]
    assert sqnr_db(forward(shared, X[100:]), run(model, X[100:])) > 60


@pytest.mark.parametrize("density", [1.0, 0.3, 0.09])
def test_the_integers_follow_the_pruned_float_network_to_15_db(density):
    layers = network(SHAPES)
    model = compress(layers, density, X[:100], method="magnitude")
    masks = [layer.dense_codes() > 0 for layer in model.layers]
    assert sqnr_db(forward(layers, X[100:], masks), run(model, X[100:])) > 15


def test_the_reported_errors_are_those_of_the_calibration_inputs():
    layers = network(SHAPES)
    model = compress(layers, 0.3, X[:50], method="magnitude")
    masks = [layer.dense_codes() > 0 for layer in model.layers]
    rows = CompressionReport.from_dict(model.metadata["compression"]).layers
    given, pruned, outputs = forward(layers, X[:50]), forward(layers, X[:50], masks), run(model, X[:50])
    assert rows[-1].output_sqnr_db == pytest.approx(sqnr_db(given, outputs), abs=0.01)
    assert rows[-1].pruning_sqnr_db == pytest.approx(sqnr_db(given, pruned), abs=0.01)
    assert rows[-1].pruned_sqnr_db == pytest.approx(sqnr_db(pruned, outputs), abs=0.01)
    assert rows[-1].fixed_point_sqnr_db > 60
    for row, dense, layer, mask in zip(rows, layers, model.layers, masks, strict=True):
        assert row.weight_sqnr_db == pytest.approx(sqnr_db(dense.weight * mask, layer.dense_weights()), abs=0.01)


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


@pytest.mark.parametrize("scale", [1e-20, 1e-3, 1.0, 1e4, 1e15])
def test_inputs_of_any_scale_get_fraction_bits_that_suit_them(scale):
    layers = network(SHAPES, bias=False)
    model = compress(layers, 0.3, X * np.float32(scale))
    rows = CompressionReport.from_dict(model.metadata["compression"]).layers
    assert rows[-1].fixed_point_sqnr_db > 60
    peak = float(np.abs(X * np.float32(scale)).max()) * 2.0**model.input_fraction_bits
    assert peak * 2 >= 2**13 and peak <= 2**15


def test_twice_the_calibration_does_not_saturate_and_four_times_does():
    layers = [Dense(np.eye(8), None)]
    x = np.random.default_rng(2).uniform(-1, 1, (50, 8)).astype(np.float32)
    x[0, 0] = 0.75
    model = compress(layers, None, x)
    assert np.allclose(run(model, x * 2), x * 2, atol=2**-13)
    assert not np.allclose(run(model, x * 4.5), x * 4.5, atol=0.1)


def test_without_calibration_standard_normal_inputs_stand_in():
    layers = network(SHAPES)
    model = compress(layers, 0.3)
    assert model.metadata["compression"]["calibration"] == {
        "samples": 64,
        "source": "standard normal",
        "measured": 64,
        "held_out": False,
    }
    assert model.input_fraction_bits == 12  # the largest of 12,800 lies between 2**(15 - 12 - 2) and twice that
    again = compress(layers, 0.3)
    assert [layer.output_fraction_bits for layer in again.layers] == [
        layer.output_fraction_bits for layer in model.layers
    ]


def test_few_inputs_are_measured_but_all_set_the_range():
    layers = network([(4, 200)])
    x = np.tile(X, (3, 1))
    x[-1] *= 64
    model = compress(layers, 0.5, x)
    assert model.metadata["compression"]["calibration"]["measured"] == 600 // 8
    assert model.input_fraction_bits <= compress(layers, 0.5, X).input_fraction_bits - 5
    assert model.metadata["compression"]["calibration"]["samples"] == 600


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


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        (X[0], r"shape \(200,\).*200"),
        (X[:, :3], r"shape \(200, 3\)"),
        (X[:0], r"shape \(0, 200\)"),
        (np.full((2, 200), np.nan), "NaN"),
        (np.full((2, 200), 1e300), "beyond float32"),
        (np.full((2, 200), "a"), "<U1"),
        (np.full((2, 200), 1j), "complex"),
        (np.full((2, 200), 3e38), "'fc[01]'.*overflow"),
    ],
)
def test_calibration_that_cannot_be_used_is_refused(calibration, message):
    with pytest.raises(NetworkError, match=message), np.errstate(all="ignore"):
        compress(network(SHAPES), 0.3, calibration)


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


class Loader:
    """Batches of inputs and labels, as a torch DataLoader gives them."""

    def __iter__(self):
        return iter([(X[:120], None), (X[120:], None)])


def test_calibration_comes_from_files_folders_and_loaders_alike(tmp_path):
    layers = network(SHAPES)
    want = compress(layers, 0.3, X)
    np.save(tmp_path / "x.npy", X)
    folder = tmp_path / "folder"
    folder.mkdir()
    for i, part in enumerate([X[:80], *X[80:82], X[82:]]):
        np.save(folder / f"{i}.npy", part)
    for calibration in (tmp_path / "x.npy", str(folder), Loader()):
        assert compress(layers, 0.3, calibration).metadata == want.metadata


def test_calibration_files_that_cannot_be_used_are_refused(tmp_path):
    with pytest.raises(NetworkError, match=r"no \.npy files"):
        compress(network(SHAPES), 0.3, tmp_path)
    (tmp_path / "x.npy").write_bytes(b"no array")
    with pytest.raises(NetworkError, match="not a readable"):
        compress(network(SHAPES), 0.3, tmp_path)
    with pytest.raises(NetworkError, match="not a readable"):
        compress(network(SHAPES), 0.3, tmp_path / "missing.npy")
    with pytest.raises(NetworkError, match="without batches"):
        compress(network(SHAPES), 0.3, iter(()))


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
