"""Networks with loops on the array: their linear maps multiply in every step."""

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

import eie
from eie.errors import NetworkError
from eie.network.evaluation import evaluate
from eie.network.graph_readers import read_graph
from eie.network.inspection import inspect_graph
from tests.driver.network.test_loops import CONFIG, floats, model_of

CELL = """
g (float[n,t,3] x) => (float[t,n,4] y) {
    batch = Shape <start = 0, end = 1> (x)
    size = Constant <value_ints = [4]> ()
    shape = Concat <axis = 0> (batch, size)
    zeros = ConstantOfShape (shape)
    steps = Transpose <perm = [1, 0, 2]> (x)
    end, y = Scan <num_scan_inputs = 1, body = b (float[n,4] h, float[n,3] a) => (float[n,4] w, float[n,4] c) {
        p = MatMul (a, wx)
        q = MatMul (h, wh)
        r = Add (p, q)
        w = Tanh (r)
        c = Identity (w)
    }> (zeros, steps)
}"""


def test_linear_maps_of_a_loop_are_the_array_s(tmp_path):
    """A layer is calibrated on what all steps give it."""
    model = model_of(CELL, 18, wx=floats(3, 4), wh=floats(4, 4) * 0.4)
    x = floats(16, 6, 3)
    (want,) = ReferenceEvaluator(model).run(None, {"x": x})
    compressed = eie.compress(model, 1.0, x, terms=2)
    assert [(layer.rows, layer.columns) for layer in compressed.layers] == [(4, 3), (4, 4)]
    rows = {row["name"]: row["vectors"] for row in compressed.metadata["compression"]["layers"] if "vectors" in row}
    assert all(vectors == 16 * 6 for vectors in rows.values())
    eie.save(compressed, tmp_path / "m.eie")
    loaded = eie.load(tmp_path / "m.eie")
    assert loaded == compressed
    fresh = floats(5, 9, 3)
    with eie.Accelerator(eie.EmulatedDevice(CONFIG)) as accelerator:
        np.testing.assert_allclose(accelerator.run(x, model=loaded, verify=True), want, atol=0.02)
        y = accelerator.run(fresh, model=loaded, verify=True)
    assert np.array_equal(eie.reference(loaded, fresh), y)
    np.testing.assert_allclose(y, ReferenceEvaluator(model).run(None, {"x": fresh})[0], atol=0.05)


def test_inspect_adds_up_the_steps_of_a_loop():
    model = model_of(CELL, 18, wx=floats(3, 4), wh=floats(4, 4))
    rows = {row.name: row for row in inspect_graph(read_graph(model), {"x": floats(2, 6, 3)})}
    assert rows["p"].where == rows["q"].where == "array"
    assert (rows["p"].multiplications, rows["q"].multiplications) == (2 * 6 * 3 * 4, 2 * 6 * 4 * 4)


def test_a_recurrent_layer_within_a_loop_is_the_host_s_and_begins_anew_with_each_step():
    text = """g (float[k,t,n,3] x) => (float[k,n,5] y) {
        y = Scan <num_scan_inputs = 1, body = b (float[t,n,3] a) => (float[n,5] e) {
            all, last = LSTM <hidden_size = 4> (a, w, r)
            first = Constant <value_ints = [0]> ()
            state = Squeeze (last, first)
            e = MatMul (state, m)
        }> (x)
    }"""
    model = model_of(text, 17, w=floats(1, 16, 3), r=floats(1, 16, 4) * 0.5, m=floats(4, 5))
    x = floats(3, 6, 8, 3)
    (want,) = ReferenceEvaluator(model).run(None, {"x": x})
    graph = read_graph(model)
    np.testing.assert_allclose(evaluate(graph, {"x": x})["y"], want, atol=1e-5)
    assert {row.operator: row.where for row in inspect_graph(graph, {"x": x})}["LSTM"] == "host"
    compressed = eie.compress(graph, 1.0, x, terms=2)
    assert [(layer.rows, layer.columns) for layer in compressed.layers] == [(5, 4)]
    with eie.Accelerator(eie.EmulatedDevice(CONFIG)) as accelerator:
        np.testing.assert_allclose(accelerator.run(x, model=compressed, verify=True), want, atol=0.02)
        with pytest.raises(NetworkError, match="keeps nothing"):
            accelerator.stream(compressed)


def test_pruning_by_loss_takes_a_network_with_a_loop_and_a_refit_as_a_whole_does_not():
    text = CELL.replace("float[t,n,4] y", "float[t,n,5] o").replace("steps)\n}", "steps)\n    o = MatMul (y, wo)\n}")
    model = model_of(text, 18, wx=floats(3, 4), wh=floats(4, 4) * 0.4, wo=floats(4, 5))
    x = floats(64, 6, 3)
    compressed = eie.compress(model, 0.6, x, allocation="loss")
    want = evaluate(read_graph(model), {"x": x})["o"]
    error = np.square(eie.reference(compressed, x) - want).mean() / np.square(want).mean()
    assert error < 0.3
    pytest.importorskip("torch")
    with pytest.raises(NetworkError, match="no gradient goes back through Scan node 'end'"):
        eie.compress(model, 0.6, x, refit="whole")
