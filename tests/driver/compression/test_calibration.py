"""Calibration inputs: where they come from, what they set, and what stands in for them."""

import itertools

import numpy as np
import pytest

from eie.compression.calibration import read_calibration
from eie.compression.compress import compress
from eie.compression.report import CompressionReport, sqnr_db
from eie.errors import NetworkError
from eie.network.graph import Graph, Node, Value
from eie.network.model import Dense
from tests.driver.compression.networks import SHAPES, X, forward, network, run


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


def test_calibration_comes_from_files_folders_and_loaders_alike(tmp_path):
    layers = network(SHAPES)
    want = compress(layers, 0.3, X)
    np.save(tmp_path / "x.npy", X)
    folder = tmp_path / "folder"
    folder.mkdir()
    for i, part in enumerate([X[:80], *X[80:82], X[82:]]):
        np.save(folder / f"{i}.npy", part)
    np.savez(tmp_path / "x.npz", inputs=X)
    batches = ((X[i : i + 120], None) for i in (0, 120))
    for calibration in (tmp_path / "x.npy", tmp_path / "x.npz", str(folder), batches):
        assert compress(layers, 0.3, calibration).metadata == want.metadata


def test_calibration_comes_from_torch_loaders_with_labels_and_without():
    torch = pytest.importorskip("torch")
    data = torch.utils.data
    layers, x = network(SHAPES), torch.tensor(X)
    want = compress(layers, 0.3, X).metadata
    labelled = data.DataLoader(data.TensorDataset(x.view(-1, 1, 10, 20), torch.zeros(len(x))), batch_size=64)
    bare = data.DataLoader(X, batch_size=33)
    for calibration in (labelled, bare, x, x.requires_grad_()):
        assert compress(layers, 0.3, calibration).metadata == want


def test_graphs_are_calibrated_from_the_same_places_as_layers(tmp_path):
    weight = np.random.default_rng(0).standard_normal((4, 1, 3, 3)).astype(np.float32)
    nodes = [Node("Conv", ("x", "w"), ("c",)), Node("Relu", ("c",), ("y",))]
    graph = Graph(nodes, [Value("x", "float32", ("batch", 1, 6, 6))], [Value("y")], {"w": weight})
    x = X[:, :36].reshape(-1, 1, 6, 6)
    want = compress(graph, 0.7, x).metadata
    folder = tmp_path / "folder"
    folder.mkdir()
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x=x)
    for i, part in enumerate([x[:80], x[80:]]):
        np.save(folder / f"{i}.npy", part)
    batches = ((x[i : i + 120], None) for i in (0, 120))
    named = ({"x": x[i : i + 50]} for i in range(0, len(x), 50))
    for calibration in (tmp_path / "x.npy", tmp_path / "x.npz", str(folder), batches, named):
        assert compress(graph, 0.7, calibration).metadata == want


def test_an_endless_loader_of_large_inputs_is_left_in_time():
    picture = np.zeros((8, 3, 512, 512), np.float32)
    batches = itertools.repeat((picture, None))
    assert read_calibration(batches).shape == (3 * 8, 3, 512, 512)
    assert len(read_calibration(itertools.repeat(X))) == 4096


def test_calibration_files_that_cannot_be_used_are_refused(tmp_path):
    with pytest.raises(NetworkError, match=r"no \.npy files"):
        compress(network(SHAPES), 0.3, tmp_path)
    (tmp_path / "x.npy").write_bytes(b"no array")
    with pytest.raises(NetworkError, match="not a readable"):
        compress(network(SHAPES), 0.3, tmp_path)
    with pytest.raises(NetworkError, match="not a readable"):
        compress(network(SHAPES), 0.3, tmp_path / "missing.npy")
    np.savez(tmp_path / "two.npz", a=X, b=X)
    with pytest.raises(NetworkError, match="holds 2 arrays"):
        compress(network(SHAPES), 0.3, tmp_path / "two.npz")
    with pytest.raises(NetworkError, match="different shapes"):
        compress(network(SHAPES), 0.3, iter([X, X[:, :3]]))
    with pytest.raises(NetworkError, match="without batches"):
        compress(network(SHAPES), 0.3, iter(()))
