"""Transformers as ONNX Runtime's optimiser leaves them, against the same of onnx's own operators."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import eie
from eie.errors import NetworkError
from eie.network.evaluation import evaluate
from eie.network.graph_readers import read_graph
from eie.network.inspection import inspect_graph
from tests.driver.network.test_onnx_runtime import RUNTIME, floats, node, plain

RNG = np.random.default_rng(0)
B, S, T, HEADS, WIDTH = 2, 5, 7, 3, 4
D = HEADS * WIDTH
HEADS_OF = {"q_num_heads": HEADS, "kv_num_heads": HEADS}


def model_of(nodes, constants, data, outputs, version):
    graph = helper.make_graph(
        nodes,
        "net",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), [None] * x.ndim)
            for name, x in data.items()
        ],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    imports = [helper.make_opsetid("", version), helper.make_opsetid(RUNTIME, 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def assert_same(nodes, equivalent, constants, data, outputs=("y",)):
    """Compare a node of ONNX Runtime in a file of operator set 14 with nodes of the newest."""
    kinds = {name: TensorProto.INT32 if name == "lengths" else TensorProto.FLOAT for name in outputs}
    want = ReferenceEvaluator(model_of(equivalent, constants, data, kinds, 23)).run(None, data)
    graph = read_graph(model_of(nodes, constants, data, kinds, 14))
    for expected, got in zip(want, evaluate(graph, data).values(), strict=True):
        assert got.dtype == expected.dtype and got.shape == expected.shape
        np.testing.assert_allclose(got, expected, atol=1e-4, rtol=1e-4)
    return graph


RAGGED = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.int32)
SQUARE = (RNG.random((B, S, S)) > 0.4).astype(np.int32) | np.eye(S, dtype=np.int32)
MASKS = {
    "none": (None, None),
    "lengths": (np.array([3, 5], np.int32), RAGGED[:, None, None]),
    "keys": (RAGGED, RAGGED[:, None, None]),
    "pairs": (SQUARE, SQUARE[:, None]),
}


@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("mask", MASKS)
def test_attention_is_a_product_then_heads_that_attend(mask, causal):
    given, whole = MASKS[mask]
    constants = {"w": floats(D, 3 * D), "b": floats(3 * D)}
    data = {"x": floats(B, S, D)}
    allowed = np.ones((B, 1, S, S), bool) if whole is None else whole > 0
    allowed = allowed & np.tri(S, dtype=bool) if causal else allowed
    constants["bias"] = np.where(allowed, 0, -10000).astype(np.float32)
    inputs = ["x", "w", "b"]
    if given is not None:
        data["m"] = given
        inputs.append("m")
    equivalent = [
        plain("MatMul", ["x", "w"], "p"),
        plain("Add", ["p", "b"], "s"),
        plain("Split", ["s"], "q k v", axis=-1, num_outputs=3),
        plain("Attention", ["q", "k", "v", "bias"], **HEADS_OF),
    ]
    fused = [node("Attention", inputs, num_heads=HEADS, unidirectional=causal)]
    graph = assert_same(fused, equivalent, constants, data)
    arrays = [row for row in inspect_graph(graph, data) if row.where == "array"]
    assert [(row.operator, row.shape) for row in arrays] == [("MatMul", (B, S, 3 * D))]


def test_attention_may_have_a_scale_widths_of_its_own_and_terms_beside_the_scores():
    constants = {"w": floats(D, 2 * D + 6), "b": floats(2 * D + 6), "sizes": np.array([D, D, 6])}
    data = {"x": floats(B, S, D), "a": floats(1, HEADS, S, S)}
    equivalent = [
        plain("MatMul", ["x", "w"], "p"),
        plain("Add", ["p", "b"], "s"),
        plain("Split", ["s", "sizes"], "q k v", axis=-1),
        plain("Attention", ["q", "k", "v", "a"], scale=0.3, **HEADS_OF),
    ]
    given = {"num_heads": HEADS, "scale": 0.3, "qkv_hidden_sizes": [D, D, 6]}
    assert_same([node("Attention", ["x", "w", "b", "", "", "a"], **given)], equivalent, constants, data)


def test_attention_goes_on_from_its_past():
    constants = {"w": floats(D, 3 * D), "b": floats(3 * D), "0": np.int64(0), "1": np.int64(1), "first": np.array([0])}
    data = {"x": floats(B, S, D), "past": floats(2, B, HEADS, 4, WIDTH)}
    equivalent = [
        plain("MatMul", ["x", "w"], "p"),
        plain("Add", ["p", "b"], "s"),
        plain("Split", ["s"], "q k v", axis=-1, num_outputs=3),
        plain("Gather", ["past", "0"], "pk"),
        plain("Gather", ["past", "1"], "pv"),
        plain("Attention", ["q", "k", "v", "", "pk", "pv"], "y ck cv", **HEADS_OF),
        plain("Unsqueeze", ["ck", "first"], "uk"),
        plain("Unsqueeze", ["cv", "first"], "uv"),
        plain("Concat", ["uk", "uv"], "now", axis=0),
    ]
    fused = [node("Attention", ["x", "w", "b", "", "past"], "y now", num_heads=HEADS)]
    assert_same(fused, equivalent, constants, data, ("y", "now"))


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("mask", ["none", "keys", "past"])
def test_heads_attend_to_keys_and_values_from_elsewhere(mask, biased):
    constants = {"b": floats(3 * D), "sizes": np.array([D, D, D])}
    data = {"q": floats(B, S, D), "k": floats(B, T, D), "v": floats(B, T, D)}
    inputs, outputs = ["q", "k", "v", "b" if biased else "", "", "", "", ""], "y"
    beside = ["", "", ""]
    if mask == "keys":
        data["m"] = (RNG.random((B, T)) > 0.3).astype(np.int32)
        data["m"][:, 0] = 1
        constants["bias"] = np.where(data["m"] > 0, 0, -10000).astype(np.float32)[:, None, None]
        inputs[4], beside[0] = "m", "bias"
    if mask == "past":
        data.update({name: floats(B, HEADS, 4, WIDTH) for name in ("pk", "pv")})
        inputs[6:], beside[1:], outputs = ["pk", "pv"], ["pk", "pv"], "y ck cv"
    names = ["q1", "k1", "v1"] if biased else ["q", "k", "v"]
    before = [plain("Split", ["b", "sizes"], "bq bk bv", axis=0)]
    before += [plain("Add", [name, f"b{name}"], f"{name}1") for name in "qkv"]
    equivalent = [*(before if biased else []), plain("Attention", [*names, *beside], outputs, **HEADS_OF)]
    fused = [node("MultiHeadAttention", inputs, outputs, num_heads=HEADS)]
    assert_same(fused, equivalent, constants, data, tuple(outputs.split()))


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("places", ["each", "first"])
@pytest.mark.parametrize("with_heads", [False, True])
@pytest.mark.parametrize("turned", [8, 12])
def test_rotary_embeddings_turn_pairs_of_features(turned, with_heads, places, interleaved):
    shape = (B, HEADS, S, 12) if with_heads else (B, S, HEADS * 12)
    constants = {"c": floats(16, turned // 2), "s": floats(16, turned // 2)}
    each = RNG.integers(0, 16, (B, S)) if places == "each" else 3 + np.tile(np.arange(S), (B, 1))
    constants["ids"] = each
    data = {"x": floats(*shape), "p": each if places == "each" else np.array([3])}
    some = {"num_heads": HEADS, "interleaved": interleaved, "rotary_embedding_dim": turned if turned < 12 else 0}
    equivalent = [plain("RotaryEmbedding", ["x", "c", "s", "ids"], **some)]
    assert_same([node("RotaryEmbedding", ["x", "p", "c", "s"], **some)], equivalent, constants, data)


@pytest.mark.parametrize("segments", [False, True])
def test_embeddings_are_summed_and_normalised_and_count_what_a_mask_lets_through(segments):
    constants = {"w": floats(20, D), "p": floats(9, D), "k": floats(2, D), "g": floats(D), "h": floats(D)}
    constants |= {"places": np.arange(S), "axis": np.array([1])}
    data = {"i": RNG.integers(0, 20, (B, S)).astype(np.int32), "m": RAGGED}
    if segments:
        data["s"] = RNG.integers(0, 2, (B, S)).astype(np.int32)
    equivalent = [
        plain("Gather", ["w", "i"], "a"),
        plain("Gather", ["p", "places"], "b"),
        plain("Add", ["a", "b"], "c" if segments else "sum"),
        *([plain("Gather", ["k", "s"], "d"), plain("Add", ["c", "d"], "sum")] if segments else []),
        plain("LayerNormalization", ["sum", "g", "h"], epsilon=1e-3),
        plain("ReduceSum", ["m", "axis"], "lengths", keepdims=0),
    ]
    inputs = ["i", "s" if segments else "", "w", "p", "k" if segments else "", "g", "h", "m"]
    fused = [node("EmbedLayerNormalization", inputs, "y lengths sum", epsilon=1e-3)]
    assert_same(fused, equivalent, constants, data, ("y", "lengths", "sum"))


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("zeros", ["none", "packed", "floats"])
@pytest.mark.parametrize("columns", [64, 48, 33])
def test_weights_of_a_few_bits_are_constants(columns, zeros, bits):
    rows, size = 6, 32
    blocks = -(-columns // size)
    codes = RNG.integers(0, 1 << bits, (rows, blocks * size)).astype(np.uint8)
    points = RNG.integers(0, 1 << bits, (rows, blocks)).astype(np.uint8)
    scales = np.abs(floats(rows, blocks))
    whole = points if zeros != "none" else np.full_like(points, 1 << (bits - 1))
    constants = {
        "packed": _packed(codes, bits).reshape(rows, blocks, -1),
        "scales": scales,
        "points": _packed(points, bits) if zeros == "packed" else points.astype(np.float32),
        "weight": ((codes.reshape(rows, blocks, size) - whole[..., None].astype(np.float32)) * scales[..., None])
        .reshape(rows, -1)[:, :columns]
        .T.copy(),
        "b": floats(rows),
    }
    data = {"x": floats(4, columns)}
    equivalent = [plain("MatMul", ["x", "weight"], "p"), plain("Add", ["p", "b"])]
    inputs = ["x", "packed", "scales", "" if zeros == "none" else "points", "", "b"]
    given = {"K": columns, "N": rows, "bits": bits, "block_size": size}
    graph = assert_same([node("MatMulNBits", inputs, **given)], equivalent, constants, data)
    assert [row.where for row in inspect_graph(graph, data)] == ["array"], "with its bias"


def _packed(codes, bits):
    """Return codes packed into bytes along the last axis, the first in the lowest bits."""
    each = 8 // bits
    padded = np.pad(codes, ((0, 0), (0, -codes.shape[1] % each))).reshape(len(codes), -1, each)
    return (padded << (np.arange(each, dtype=np.uint8) * bits)).sum(axis=-1).astype(np.uint8)


def test_a_block_of_a_transformer_runs_on_the_array():
    constants = {"w": floats(D, 3 * D) * 0.3, "b": floats(3 * D), "o": floats(D, D), "g": floats(D), "h": floats(D)}
    nodes = [
        node("Attention", ["x", "w", "b"], "a", num_heads=HEADS),
        plain("MatMul", ["a", "o"], "p"),
        node("SkipLayerNormalization", ["p", "x", "g", "h"], "y", epsilon=1e-5),
    ]
    x = floats(64, S, D)
    graph = read_graph(model_of(nodes, constants, {"x": x}, {"y": TensorProto.FLOAT}, 14))
    model = eie.compress(graph, 1.0, x, terms=2)
    assert [(layer.rows, layer.columns) for layer in model.layers] == [(3 * D, D), (D, D)]
    with eie.Accelerator("emulated") as accelerator:
        y = accelerator.run(x, model=model, verify=True)
    np.testing.assert_allclose(y, evaluate(graph, {"x": x})["y"], atol=0.1)


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([node("Attention", ["x", "w", "b"], num_heads=HEADS, do_rotary=1)], "do_rotary 1 is not supported; 0 is"),
        ([node("Attention", ["x", "w", "b", "m"], num_heads=HEADS)], "the mask 'm' has 4 dimensions; 1 to 3 are"),
        ([node("MultiHeadAttention", ["x"], num_heads=HEADS)], "packed queries, keys and values are not supported"),
        ([node("MatMulNBits", ["x", "c", "s"], K=D, N=4, block_size=16)], "the weights 'c' are not constant"),
        ([node("RotaryEmbedding", ["x", "p", "w", "w"])], "the dimensions of the positions are not known"),
        ([node("GroupQueryAttention", ["x", "", "", "", "", "l", "n"], softcap=30.0)], "softcap 30.0 is not supported"),
    ],
)
def test_what_is_not_supported_is_named(nodes, words):
    constants = {"w": floats(D, 3 * D), "b": floats(3 * D), "s": floats(4)}
    data = {"x": floats(B, S, D), "m": floats(B, 1, S, S), "c": floats(4, 1, 8), "p": floats(B, S, 1)}
    data |= {name: np.zeros(1, np.int32) for name in "ln"}
    read = {name for each in nodes for name in each.input}
    data = {name: x for name, x in data.items() if name in read}
    with pytest.raises(NetworkError, match=words):
        read_graph(model_of(nodes, constants, data, {"y": TensorProto.FLOAT}, 14))
