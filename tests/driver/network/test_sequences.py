"""Sequences of tensors within a network: made, changed in loops, taken apart."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import eie
from eie.errors import NetworkError
from eie.network.evaluation import evaluate
from eie.network.graph_readers import read_graph
from tests.driver.network.test_loops import CONFIG, floats, model_of

COLLECT = """
g (float[n,6] x) => (float[n,k] y) {
    parts = SplitToSequence <axis = 1> (x, width)
    count = SequenceLength (parts)
    none = SequenceEmpty ()
    done = Loop (count, , none) <body = b (int64 i, bool going, seq(float[n,m]) found) =>
        (bool still, seq(float[n,m]) longer) {
            still = Identity (going)
            part = SequenceAt (parts, i)
            product = MatMul (part, w)
            longer = SequenceInsert (found, product, front)
    }>
    kept = SequenceErase (done, last)
    y = ConcatFromSequence <axis = 1> (kept)
}"""


def collecting():
    return model_of(COLLECT, 17, width=np.int64(2), front=np.int64(0), last=np.int64(-1), w=floats(2, 5))


def expected(model, x):
    weight = np.frombuffer(model.graph.initializer[-1].raw_data, np.float32).reshape(2, 5)
    return np.concatenate([x[:, 4:6] @ weight, x[:, 2:4] @ weight], axis=1)


def test_a_loop_collects_tensors_in_a_sequence_and_its_linear_map_is_the_array_s(tmp_path):
    model, x = collecting(), floats(32, 6)
    want = expected(model, x)
    np.testing.assert_allclose(evaluate(read_graph(model), {"x": x})["y"], want, rtol=1e-5, atol=1e-6)
    compressed = eie.compress(model, 1.0, x, terms=2)
    assert [(layer.rows, layer.columns) for layer in compressed.layers] == [(5, 2)]
    eie.save(compressed, tmp_path / "m.eie")
    with eie.Accelerator(eie.EmulatedDevice(CONFIG)) as accelerator:
        y = accelerator.run(x, model=eie.load(tmp_path / "m.eie"), verify=True)
    np.testing.assert_allclose(y, want, atol=0.02)


def test_sequences_of_a_network_for_one_input_stand_in_no_batch_s_way():
    model = collecting()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    x = floats(8, 6)
    np.testing.assert_allclose(evaluate(read_graph(model), {"x": x})["y"], expected(model, x), rtol=1e-5, atol=1e-6)


def test_sequences_of_constants_are_not_folded_into_tensors():
    model = model_of(
        """g (float[2] x) => (float[2] y) {
            both = SequenceConstruct (a, b)
            second = SequenceAt (both, place)
            y = Add (x, second)
        }""",
        a=np.zeros(2, np.float32),
        b=np.array([1, 2], np.float32),
        place=np.int64(-1),
    )
    assert evaluate(read_graph(model), {"x": np.zeros(2, np.float32)})["y"].tolist() == [1, 2]


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 9), st.one_of(st.none(), st.integers(1, 10), st.lists(st.integers(0, 4), min_size=1)), st.booleans()
)
def test_split_parts_joined_again_are_the_whole(length, split, keeps):
    if isinstance(split, list):
        length = sum(split)
    assume(length)
    sizes = {} if split is None else {"s": np.array(split, np.int64)}
    text = f"p = SplitToSequence <axis = 1, keepdims = {int(keeps)}> (x{', s' if sizes else ''})"
    new_axis = int(split is None and not keeps)
    model = model_of(
        f"g (float[3,n] x) => (float[3,m] y) {{ {text} y = ConcatFromSequence <axis = 1, new_axis = {new_axis}> (p) }}",
        **sizes,
    )
    x = floats(3, length)
    assert np.array_equal(evaluate(read_graph(model), {"x": x})["y"], x)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("p = SequenceConstruct (x, x) y = SequenceAt (p, at)", "a sequence of 2 tensors has no place 2"),
        (
            "p = SequenceConstruct (x) q = SequenceInsert (p, x, at) y = SequenceAt (q, zero)",
            "a sequence of 1 tensors has no place 2",
        ),
        (
            "p = SequenceEmpty () q = SequenceErase (p) y = SequenceAt (q, zero)",
            "a sequence of 0 tensors has no last place",
        ),
        ("p = SequenceEmpty () y = ConcatFromSequence <axis = 0> (p)", "a sequence without tensors cannot be joined"),
        ("n = Abs (zero) p = SplitToSequence (x, n) y = SequenceAt (p, zero)", "split into parts of size 0"),
    ],
)
def test_places_and_parts_that_are_not_there_are_named(body, words):
    model = model_of(f"g (float[3] x) => (float[3] y) {{ {body} }}", at=np.int64(2), zero=np.int64(0))
    with pytest.raises(NetworkError, match=words):
        evaluate(read_graph(model), {"x": floats(3)})


def test_a_network_that_ends_with_a_sequence_is_told_where_else_to_end():
    model = model_of("g (float[3] x) => (seq(float[3]) p, float[3] z) { z = Neg (x) p = SequenceConstruct (x, z) }")
    with pytest.raises(
        NetworkError, match=r"output 'p': 'p' is no tensor but a sequence_type; name others: .*--outputs z"
    ):
        read_graph(model)
    graph = read_graph(model, outputs=["z"])
    assert [node.operator for node in graph.nodes] == ["Neg"]
