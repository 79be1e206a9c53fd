"""Files as Deep Compression's authors published them, written here by another hand."""

import struct

import numpy as np
import pytest

import eie
from eie.errors import NetworkError
from eie.network.evaluation import evaluate
from eie.network.graph_readers import read_graph
from eie.network.sources import read_any

PROTOTXT = """
name: "SmallAlexNet"  # like CaffeNet's deploy.prototxt
input: "data"
input_dim: 10
input_dim: 4 input_dim: 13 input_dim: 13
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
        param { lr_mult: 1 } convolution_param { num_output: 6 kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "norm1" type: "LRN" bottom: "conv1" top: "norm1" lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 } }
layer { name: "pool1" type: "Pooling" bottom: "norm1" top: "pool1"
        pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
        convolution_param { num_output: 8 pad: 1 kernel_size: 3 group: 2 } }
layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
layer { name: "fc3" type: "InnerProduct" bottom: "conv2" top: "fc3" inner_product_param { num_output: 20 } }
layer { name: "relu3" type: "ReLU" bottom: "fc3" top: "fc3" }
layer { name: "drop3" type: "Dropout" bottom: "fc3" top: "fc3" dropout_param { dropout_ratio: 0.5 } }
layer { name: "fc4" type: "InnerProduct" bottom: "fc3" top: "fc4" inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "fc4" top: "prob" }
"""
SHAPES = {"conv1": (6, 4, 3, 3), "conv2": (8, 3, 3, 3), "fc3": (20, 72), "fc4": (5, 20)}


def nibbles(values):
    values = [*values, 0] if len(values) % 2 else list(values)
    return bytes(low | high << 4 for low, high in zip(values[::2], values[1::2], strict=True))


def write_net(path, layers):
    """Write layers: (codebook with 0 first, codes in the weight's order, biases), one weight after another."""
    streams = []
    for codebook, codes, bias in layers:
        stored, gaps, zeros = [], [], 0
        for code in codes:
            if code or zeros == 15:  # a weight, or a bridge: fifteen zeros and one more, stored as code 0
                stored.append(int(code))
                gaps.append(zeros)
                zeros = 0
            else:
                zeros += 1
        body = bytes(stored) if len(codebook) == 256 else nibbles(stored)
        floats = struct.pack(f"<{len(codebook) + len(bias)}f", *codebook, *bias)
        streams.append((len(stored), floats + body + nibbles(gaps)))
    path.write_bytes(struct.pack(f"<{len(streams)}I", *(n for n, _ in streams)) + b"".join(b for _, b in streams))


def random_layers(rng, shapes=SHAPES, density=0.08):
    """Return layers for `write_net`, and the weights and biases that they stand for."""
    layers, arrays = [], {}
    for name, shape in shapes.items():
        values = 256 if len(shape) > 2 else 16
        codebook = np.append(0, rng.standard_normal(values - 1)).astype(np.float32)
        size = int(np.prod(shape))
        codes = rng.integers(1, values, size) * (rng.random(size) < density)
        bias = rng.standard_normal(shape[0]).astype(np.float32)
        layers.append((codebook, codes, bias))
        arrays[name] = codebook[codes].reshape(shape), bias
    return layers, arrays


def files(folder, layers, prototxt=PROTOTXT):
    write_net(folder / "small.net", layers)
    (folder / "small.prototxt").write_text(prototxt)
    return folder / "small.net"


@pytest.mark.parametrize("density", [0.0, 0.02, 0.08, 0.5, 1.0])
def test_weights_and_biases_are_those_written(tmp_path, density):
    layers, arrays = random_layers(np.random.default_rng(0), density=density)
    graph = read_graph(files(tmp_path, layers))
    for name, (weight, bias) in arrays.items():
        assert np.array_equal(graph.constants[f"{name}.weight"], weight)
        assert np.array_equal(graph.constants[f"{name}.bias"], bias)


def test_the_network_computes_what_torch_does(tmp_path):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    layers, arrays = random_layers(np.random.default_rng(1), density=0.4)
    x = np.random.default_rng(2).standard_normal((3, 4, 13, 13)).astype(np.float32)
    w = {name: tuple(map(torch.tensor, pair)) for name, pair in arrays.items()}
    y = torch.relu(functional.conv2d(torch.tensor(x), *w["conv1"], stride=2, padding=1))
    y = functional.max_pool2d(functional.local_response_norm(y, 3, 0.5, 0.75, 1.0), 3, 2, ceil_mode=True)
    y = torch.relu(functional.conv2d(y, *w["conv2"], padding=1, groups=2))
    y = functional.linear(torch.relu(functional.linear(y.flatten(1), *w["fc3"])), *w["fc4"])
    graph = read_graph(files(tmp_path, layers))
    (got,) = evaluate(graph, {"data": x}).values()
    np.testing.assert_allclose(got, torch.softmax(y, 1).numpy(), atol=1e-5)


@pytest.mark.filterwarnings("ignore::eie.errors.AccuracyWarning")
def test_fully_connected_layers_keep_their_shared_values(tmp_path):
    shapes = {"fc6": (30, 48), "fc7": (10, 30)}
    prototxt = """input: "data" input_shape { dim: 1 dim: 3 dim: 4 dim: 4 }
    layers { name: "fc6" type: INNER_PRODUCT bottom: "data" top: "fc6" inner_product_param { num_output: 30 } }
    layers { name: "relu6" type: RELU bottom: "fc6" top: "fc6" }
    layers { name: "fc7" type: INNER_PRODUCT bottom: "fc6" top: "fc7" inner_product_param { num_output: 10 } }"""
    layers, arrays = random_layers(np.random.default_rng(3), shapes, 0.2)
    path = files(tmp_path, layers, prototxt)
    first, second = read_any(path)
    assert (first.name, first.activation, second.activation) == ("fc6", "relu", None)
    model = eie.compress(path, None, np.random.default_rng(4).standard_normal((50, 48)).astype(np.float32))
    for layer, (weight, _) in zip(model.layers, arrays.values(), strict=True):
        assert np.array_equal(layer.dense_codes() != 0, weight != 0)
        assert layer.nonzeros == np.count_nonzero(weight)
        np.testing.assert_allclose(layer.to_dense().weight, weight, atol=2e-4)


def test_a_network_with_convolutions_runs(tmp_path):
    layers, _ = random_layers(np.random.default_rng(5), density=0.3)
    x = np.random.default_rng(6).standard_normal((8, 4, 13, 13)).astype(np.float32)
    path = files(tmp_path, layers)
    model = eie.compress(path, 1.0, x)
    with eie.Accelerator(eie.EmulatedDevice(eie.ArrayConfig(num_pes=4))) as accelerator:
        y = accelerator.run(x, verify=True, model=model)
    (want,) = evaluate(read_graph(path), {"data": x}).values()
    assert np.abs(y - want).max() < 0.3, "4-bit weights in place of 8-bit ones"


def test_damaged_files_and_descriptions_are_refused_by_name(tmp_path):
    layers, _ = random_layers(np.random.default_rng(7))
    path = files(tmp_path, layers)
    data = path.read_bytes()
    for cut in (b"", data[:10], data[:-1], data + b"\0", b"\xff" * 16 + data[16:]):
        path.write_bytes(cut)
        with pytest.raises(NetworkError, match=r"small\.net: it has \d+ bytes"):
            read_graph(path)
    outside = [(codebook, np.r_[codes[:-1], 1, 1], bias) for codebook, codes, bias in layers]
    write_net(path, outside)
    with pytest.raises(NetworkError, match="'conv1': code 0 stands for 0 and its last weight is number 217"):
        read_graph(path)
    path.write_bytes(data)
    for old, new, words in (
        ('top: "prob" }', 'top: "prob"', "closing brace is missing"),
        ('"LRN"', '"Warp"', "'norm1': its type 'Warp' is not known"),
        ('bottom: "norm1"', 'bottom: "nowhere"', "'pool1': its input 'nowhere' is made by no layer"),
        ('input: "data"', "", "names no input"),
        ("group: 2", "group: 4", "'conv2'"),
        ("num_output: 20", "num_output: 2000000000", "the limit is"),
        ("kernel_size: 3 stride: 2 pad: 1", "kernel_size: 300", "'conv1'"),
        ("num_output: 6", "num_output: -6", "'conv1'"),
        ("name:", "name", "line 2"),
        ("input_dim: 10", "?", "line 4: '\\?' is not understood"),
    ):
        (tmp_path / "small.prototxt").write_text(PROTOTXT.replace(old, new, 1))
        with pytest.raises(NetworkError, match=words):
            read_graph(path)
    (tmp_path / "small.prototxt").unlink()
    with pytest.raises(NetworkError, match=r"small\.net needs the network's prototxt beside it"):
        read_graph(path)
