"""Attention of language models as ONNX Runtime has it, against each query and key taken by itself."""

import numpy as np
import pytest
from onnx import TensorProto

import eie
from eie.network.evaluation import evaluate
from eie.network.graph_readers import read_graph
from tests.driver.network.test_onnx_runtime import floats, node, plain
from tests.driver.network.test_onnx_transformers import model_of

HEADS, GROUPS, WIDTH = 4, 2, 16
OUTPUTS = dict.fromkeys(("y", "keys", "values"), TensorProto.FLOAT)


def turned(x, places, cosines, sines, interleaved):
    """Rotate the features of heads, shape (S, N, D), as complex numbers."""
    half = cosines.shape[1]
    part = x[..., : 2 * half]
    pairs = part.reshape(*x.shape[:2], half, 2) if interleaved else np.stack(np.split(part, 2, -1), -1)
    angles = (cosines[places] + 1j * sines[places])[:, None]
    result = (pairs[..., 0] + 1j * pairs[..., 1]) * angles
    parts = np.stack([result.real, result.imag], -1)
    flat = parts.reshape(part.shape) if interleaved else np.concatenate([parts[..., 0], parts[..., 1]], -1)
    return np.concatenate([flat, x[..., 2 * half :]], -1).astype(np.float32)


def expected(data, lengths, total, tables, interleaved, window):
    """Return outputs, keys and values of a batch, sample by sample and query by query."""
    batch, new = data["q"].shape[:2]
    room = data["pk"].shape[2]
    y = np.zeros((batch, new, HEADS, WIDTH), np.float32)
    kept = np.zeros((2, batch, GROUPS, max(room, total), WIDTH), np.float32)
    for b in range(batch):
        q, k, v = (data[name][b].reshape(new, -1, WIDTH) for name in "qkv")
        past = 0 if total == new else lengths[b] - new
        places = past + np.arange(new)
        if tables:
            q, k = (turned(x, places, *tables, interleaved) for x in (q, k))
        for whole, before, x in zip(kept[:, b], (data["pk"][b], data["pv"][b]), (k, v), strict=True):
            whole[:, :past] = before[:, :past]
            whole[:, past : past + new] = x.swapaxes(0, 1)
        for i in range(new):
            last = min(past + i + 1, lengths[b])
            first = max(0, past + i + 1 - window) if window > 0 else 0
            for head in range(HEADS):
                keys, values = (whole[head * GROUPS // HEADS, first:last] for whole in kept[:, b])
                weights = np.exp(keys @ q[i, head] / WIDTH**0.5)
                y[b, i, head] = (weights / weights.sum()) @ values
    return y.reshape(batch, new, -1), *kept


CASES = {
    "next": (1, 6, [7, 7], 7),
    "next of several lengths": (1, 6, [7, 4], 7),
    "next in a buffer": (1, 12, [7, 7], 7),
    "prompt": (5, 0, [5, 5], 5),
    "prompts of several lengths": (5, 0, [5, 4], 5),
    "several more": (3, 6, [9, 9], 9),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("half", "interleaved"), [(0, 0), (8, 0), (8, 1), (4, 0)])
@pytest.mark.parametrize("window", [-1, 3])
def test_queries_share_keys_and_go_on_from_their_past(window, half, interleaved, packed, case):
    new, room, lengths, total = CASES[case]
    data = {"q": floats(2, new, HEADS * WIDTH)}
    data |= {name: floats(2, new, GROUPS * WIDTH) for name in "kv"}
    data |= {name: floats(2, GROUPS, room, WIDTH) for name in ("pk", "pv")}
    constants = {"c": floats(16, half), "s": floats(16, half)} if half else {}
    wanted = expected(data, lengths, total, list(constants.values()), interleaved, window)
    given = {**data, "l": np.array(lengths, np.int32) - 1, "t": np.int32(total)}
    if packed:
        given["q"] = np.concatenate([given.pop(name) for name in "qkv"], axis=-1)
    inputs = ["q", *(("", "") if packed else "kv"), "pk", "pv", "l", "t", *constants]
    attention = node(
        *("GroupQueryAttention", inputs, "y keys values"),
        **{"num_heads": HEADS, "kv_num_heads": GROUPS, "local_window_size": window},
        **{"do_rotary": int(half > 0), "rotary_interleaved": interleaved},
    )
    given = {name: np.asarray(x) for name, x in given.items()}
    graph = read_graph(model_of([attention], constants, given, OUTPUTS, 14))
    for want, got in zip(wanted, evaluate(graph, given).values(), strict=True):
        assert got.shape == want.shape and got.dtype == want.dtype
        np.testing.assert_allclose(got, want, atol=1e-4, rtol=1e-4)


def test_the_projections_of_a_decoder_are_the_array_s():
    """Weights of four bits, a block each of 16: they are constants, and the keys of before come as inputs."""
    rows, columns = (HEADS + 2 * GROUPS) * WIDTH, 32
    codes = np.random.default_rng(0).integers(0, 256, (rows, columns // 16, 8)).astype(np.uint8)
    constants = {"w": codes, "u": np.abs(floats(rows, columns // 16)) * 0.1, "o": floats(HEADS * WIDTH, columns)}
    nodes = [
        node("MatMulNBits", ["x", "w", "u"], "p", K=columns, N=rows, bits=4, block_size=16),
        node("GroupQueryAttention", ["p", "", "", "pk", "pv", "l", "t"], "a keys values", num_heads=4, kv_num_heads=2),
        plain("MatMul", ["a", "o"]),
    ]
    data = {"x": floats(16, 1, columns), "l": np.full(16, 6, np.int32), "t": np.array(7, np.int32)}
    data |= {name: floats(16, GROUPS, 6, WIDTH) for name in ("pk", "pv")}
    graph = read_graph(model_of(nodes, constants, data, OUTPUTS, 14))
    model = eie.compress(graph, 1.0, data, terms=2)
    assert [(layer.rows, layer.columns) for layer in model.layers] == [(rows, columns), (columns, HEADS * WIDTH)]
    with eie.Accelerator("emulated") as accelerator:
        found = accelerator.run(data, model=model, verify=True)
    for name, want in evaluate(graph, data).items():
        assert np.square(found[name] - want).mean() < 1e-3 * np.square(want).mean()
