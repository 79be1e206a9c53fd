"""Files mutated at random: what is read is right or an error of the package, in little time and memory.

The quick run is for every change; `--full` makes 150,000 mutations of model files and 3,000 of each kind of network.
"""

import contextlib
import dataclasses
import itertools
import random
import resource
import struct
import time
import zlib

import numpy as np
import pytest

import eie
from eie.errors import EieError
from eie.model_file.container import describe
from eie.network.graph import Graph, Node, Value
from eie.network.graph_model import GraphModel
from eie.network.readers import read_network
from eie.network.recurrent_model import RecurrentModel

SECONDS, KILOBYTES = 2.0, 200_000
"""Most that one file may take."""
PREFIX = struct.Struct("<4sBII")
INTERESTING = (0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF)


def mutated(rng, data):
    """Return data with bytes changed, runs of them left out, doubled or made random."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        if not data:
            break
        at = rng.randrange(len(data))
        kind = rng.randrange(5)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at] = rng.choice(INTERESTING)
        elif kind == 2:
            del data[at : at + rng.randrange(1, 9)]
        elif kind == 3:
            data[at:at] = data[at : at + rng.randrange(1, 17)]
        else:
            data[at : at + 4] = rng.randbytes(4)
    return bytes(data)


def models():
    rng = np.random.default_rng(0)
    for sizes, density in (((12, 9, 5), 0.4), ((49, 6), 0.2), ((3, 3), 1.0)):
        layers = []
        for i, (columns, rows) in enumerate(itertools.pairwise(sizes)):
            codes = rng.integers(1, 16, (rows, columns)) * (rng.random((rows, columns)) < density)
            bias = rng.integers(-500, 500, rows)
            layers.append(
                eie.Layer.from_dense_codes(codes, np.arange(16) - 8 * (np.arange(16) > 0), bias, 4, name=f"l{i}")
            )
        yield eie.Model(layers, "fuzz", {"origin": "test", "nested": [{"a": 1.5}]})
    scaled = dataclasses.replace(layers[-1], relu=False, scaling=eie.network.scaling.Scaling(np.arange(3), 8, -9, 9))
    yield eie.Model([scaled], "scaled")
    more = eie.Term.from_dense_codes(rng.integers(0, 4, (3, 3)), np.arange(16) * -5)
    yield eie.Model([dataclasses.replace(layers[-1], second=more)], "two terms")
    yield eie.Model([dataclasses.replace(scaled, second=more)], "two terms, scaled")


def recurrent_models():
    rng = np.random.default_rng(2)
    for layer, gates in ((eie.LSTM, 4), (eie.GRU, 3)):
        weights = [rng.uniform(-1, 1, (3 * gates, columns)) for columns in (4, 3)]
        yield eie.compress(layer(*weights), 1.0, terms=gates - 2, name="recurrent")


def graph_models():
    """A convolution, a branch that goes by it, and a product, of one term and of two; recurrent layers, one alone."""
    rng = np.random.default_rng(1)
    constants = {
        "w": rng.standard_normal((2, 1, 2, 2)).astype(np.float32),
        "v": rng.standard_normal((18, 3)).astype(np.float32),
        "shape": np.array([0, -1]),
    }
    nodes = [
        Node("Conv", ("x", "w"), ("c",), {"pads": [0, 0, 0, 0]}, "conv"),
        Node("Sigmoid", ("c",), ("s",)),
        Node("Mul", ("c", "s"), ("m",)),
        Node("Reshape", ("m", "shape"), ("f",)),
        Node("MatMul", ("f", "v"), ("y",), {}, "last"),
    ]
    graph = Graph(nodes, [Value("x", "float32", ("batch", 1, 4, 4))], [Value("y")], constants)
    inputs = rng.standard_normal((4, 1, 4, 4)).astype(np.float32)
    yield eie.compress(graph, 1.0, inputs, name="graph")
    yield eie.compress(graph, 1.0, inputs, terms=2, name="graph of two terms")
    gates = {"w": rng.standard_normal((1, 12, 4)), "r": rng.standard_normal((1, 12, 3))}
    constants = {name: value.astype(np.float32) for name, value in gates.items()} | {"shape": np.array([4, -1, 4])}
    nodes = [
        Node("Reshape", ("x", "shape"), ("t",)),
        Node("LSTM", ("t", "w", "r"), ("", "y"), {"hidden_size": 3}, "cell"),
    ]
    graph = Graph(nodes, [Value("x", "float32", ("batch", 1, 4, 4))], [Value("y")], constants)
    yield eie.compress(graph, 1.0, inputs, terms=2, name="recurrent")
    yield eie.compress(eie.GRU(rng.normal(size=(9, 4)), rng.normal(size=(9, 3))), 1.0, name="recurrent alone")


def check(path, read, use):
    """Read a file: right, or an error of the package, within the limits."""
    began, peak = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with contextlib.suppress(EieError):
        use(read(path))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    assert grown < KILOBYTES and time.process_time() - began < SECONDS, path.read_bytes().hex()


def save_again(model, path):
    """What was read can be written and read once more, and computes."""
    eie.save(model, path)
    assert eie.load(path) == model
    if isinstance(model, RecurrentModel):
        eie.reference(model, np.ones((1, 2, model.columns), np.int16))
    elif isinstance(model, GraphModel):
        eie.reference(model, np.ones((1, 1, 4, 4), np.float32))
    elif model.columns < 1000 and model.rows < 1000:
        eie.reference(model, np.ones((1, model.columns), np.int16))


def fuzz_models(tmp_path, count, seed):
    rng = random.Random(seed)
    bodies = []
    for model in (*models(), *recurrent_models(), *graph_models()):
        for huffman in (True, False):
            eie.save(model, tmp_path / "good.eie", huffman)
            data = (tmp_path / "good.eie").read_bytes()
            bodies.append((PREFIX.unpack_from(data)[1], data[PREFIX.size :]))
    path = tmp_path / "x.eie"
    for _ in range(count):
        version, body = rng.choice(bodies)
        body = mutated(rng, body)
        path.write_bytes(PREFIX.pack(b"\x89EIE", version, zlib.crc32(body), len(body)) + body)
        check(path, eie.load, lambda model: save_again(model, tmp_path / "again.eie"))
        check(path, describe, lambda _: None)


def networks(folder):
    rng = np.random.default_rng(1)
    arrays = {
        "fc1.weight": rng.normal(size=(5, 4)),
        "fc1.bias": rng.normal(size=5),
        "fc2.weight": rng.normal(size=(2, 5)),
    }
    arrays = {name: value.astype(np.float32) for name, value in arrays.items()}
    np.savez(folder / "a.npz", **arrays)
    np.savez_compressed(folder / "b.npz", **arrays)
    yield from (folder / "a.npz", folder / "b.npz")
    safetensors = pytest.importorskip("safetensors.numpy")
    safetensors.save_file(arrays, folder / "c.safetensors")
    yield folder / "c.safetensors"
    onnx = pytest.importorskip("onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["x", "w1", "b1"], ["h"], name="one", transB=1),
            helper.make_node("Relu", ["h"], ["r"], name="relu"),
            helper.make_node("Gemm", ["r", "w2"], ["y"], name="two", transB=1),
        ],
        "net",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", 2])],
        [
            numpy_helper.from_array(arrays[name], short)
            for short, name in (("w1", "fc1.weight"), ("b1", "fc1.bias"), ("w2", "fc2.weight"))
        ],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(folder / "d.onnx")
    )
    yield folder / "d.onnx"


def fuzz_networks(tmp_path, count, seed):
    rng = random.Random(seed)
    for good in list(networks(tmp_path)):
        data = good.read_bytes()
        path = tmp_path / f"x{good.suffix}"
        for _ in range(count):
            path.write_bytes(mutated(rng, data))
            check(path, read_network, lambda layers: [layer.weight.sum() for layer in layers])


def test_mutated_model_files(tmp_path):
    fuzz_models(tmp_path, 150, seed=1)


@pytest.mark.full
def test_mutated_model_files_at_length(tmp_path):
    fuzz_models(tmp_path, 150_000, seed=2)


@pytest.mark.filterwarnings("ignore")
def test_mutated_networks(tmp_path):
    fuzz_networks(tmp_path, 60, seed=3)


@pytest.mark.full
@pytest.mark.filterwarnings("ignore")
def test_mutated_networks_at_length(tmp_path):
    fuzz_networks(tmp_path, 3_000, seed=4)
