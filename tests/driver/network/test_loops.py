"""Loops: graphs that run step by step, within one another and within branches."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper, parser

import eie
from eie.errors import NetworkError
from eie.network import loops
from eie.network.evaluation import evaluate
from eie.network.graph_readers import read_graph
from eie.network.operators import table

RNG = np.random.default_rng(0)
CONFIG = eie.ArrayConfig(num_pes=4)


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def model_of(text, version=17, **constants):
    """Return the model of a graph in onnx's own notation."""
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["" : {version}]>\n{text}')
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(x), name) for name, x in constants.items())
    onnx.checker.check_model(model)
    return model


def outputs_of(model, **inputs):
    return list(evaluate(read_graph(model), inputs).values())


LOOP = """
g (float[3] x, int64 most, float limit) => (float[3] y, float[n,3] all, int64[n] steps) {
    y, all, steps = Loop (%s, %s, x) <body = b (int64 i, bool before, float[3] v) =>
        (bool after, float[3] w, float[3] copy, int64 number) {
            w = Add (v, x)
            copy = Neg (w)
            number = Add (i, most)
            sum = ReduceSum <keepdims = 0> (w)
            after = Less (sum, limit)
    }>
}"""


@pytest.mark.parametrize("version", [13, 17, 21])
@pytest.mark.parametrize(("most", "condition"), [("most", ""), ("", "yes"), ("most", "yes"), ("most", "no")])
def test_a_loop_ends_with_its_count_or_its_condition(most, condition, version):
    model = model_of(LOOP % (most, condition), version, yes=np.array(True), no=np.array(False))
    x = np.array([0.5, 1, 1.5], np.float32)
    for count, limit in ((5, 100), (100, 20), (0, 20)):
        y, collected, numbers = outputs_of(model, x=x, most=np.int64(count), limit=np.float32(limit))
        going_on = 0 if condition == "no" else -(-limit // 3) - 1
        steps = min(going_on, count) if most else going_on
        assert np.array_equal(y, x * (steps + 1))
        assert collected.dtype == np.float32 and np.array_equal(collected, -x * np.arange(2, steps + 2)[:, None])
        assert numbers.dtype == np.int64 and np.array_equal(numbers, count + np.arange(steps))


def test_loops_hold_branches_and_loops_and_read_what_is_around_them():
    model = model_of(
        """g (float[3] x, int64 most) => (float[3] y) {
            twice = Mul (x, two)
            y = Loop (most, , x) <body = outer (int64 i, bool going, float[3] v) => (bool still, float[3] w) {
                still = Identity (going)
                odd = Mod (i, two_steps)
                is_odd = Cast <to = 9> (odd)
                w = If (is_odd) <
                    then_branch = t () => (float[3] w1) { w1 = Add (v, twice) },
                    else_branch = e () => (float[3] w2) {
                        w2 = Loop (i, , v) <body = inner (int64 j, bool c, float[3] u) => (bool d, float[3] z) {
                            d = Identity (c)
                            z = Sub (u, twice)
                        }>
                    }
                >
            }>
        }""",
        two=np.float32(2),
        two_steps=np.int64(2),
    )
    x, factor = floats(3), 1
    for most in range(7):
        (y,) = outputs_of(model, x=x, most=np.int64(most))
        np.testing.assert_allclose(y, x * factor, rtol=1e-5)
        factor += 2 if most % 2 else -2 * most
    graph = read_graph(model, inputs={"x": x, "most": 6})
    assert not graph.nodes, "what reads only constants is folded"
    np.testing.assert_allclose(graph.constants["y"], y)


def test_a_loop_without_end_is_an_error_that_names_the_limit(monkeypatch):
    monkeypatch.setattr(loops, "STEPS_LIMIT", 10)
    model = model_of(LOOP % ("", ""))
    given = {"x": np.zeros(3, np.float32), "most": np.int64(0), "limit": np.float32(1)}
    with pytest.raises(NetworkError, match=r"Loop node 'y': it goes on after .* 10 at most"):
        evaluate(read_graph(model), given)


NESTED = """
g (float[3] x) => (float[3] z) {
    y = Loop (many, , start) <body = b (int64 i, bool before, float[3] v) => (bool after, float[3] w) {
        after = Identity (before)
        w = Loop (many, , v) <body = c (int64 j, bool again, float[3] u) => (bool on, float[3] t) {
            on = Identity (again)
            t = Add (u, one)
        }>
    }>
    z = Add (x, y)
}"""


@pytest.mark.parametrize("many", [10, 1 << 20])
def test_loops_of_constants_are_folded_if_they_are_short(many):
    """Two of a million steps, one within the other, must not keep a reader busy."""
    one, start = np.ones(3, np.float32), np.zeros(3, np.float32)
    graph = read_graph(model_of(NESTED, many=np.int64(many), one=one, start=start))
    assert [node.operator for node in graph.nodes] == (["Add"] if many == 10 else ["Loop", "Add"])
    if many == 10:
        assert np.array_equal(evaluate(graph, {"x": start})["z"], 100 * one)


def test_steps_of_loops_within_loops_count(monkeypatch):
    monkeypatch.setattr(loops, "STEPS_LIMIT", 100)
    one, start = np.ones(3, np.float32), np.zeros(3, np.float32)
    graph = read_graph(model_of(NESTED, many=np.int64(1 << 20), one=one, start=start))
    with pytest.raises(NetworkError, match="100 at most"):
        evaluate(graph, {"x": start})


def test_what_the_steps_of_a_loop_collect_has_a_limit(monkeypatch):
    """It is refused while it grows, not when all of it is there."""
    monkeypatch.setattr(table, "ELEMENTS_LIMIT", 20)
    collecting = model_of(LOOP % ("most", ""))
    given = {"x": np.zeros(3, np.float32), "most": np.int64(1 << 19), "limit": np.float32(1)}
    with pytest.raises(NetworkError, match=r"a tensor of shape \(7, 3\) has 21 elements; the limit is 20"):
        evaluate(read_graph(collecting), given)
    growing = model_of(
        """g (float[3] x) => (float[n,3] y) {
            none = SequenceEmpty ()
            done = Loop (most, , none) <body = b (int64 i, bool going, seq(float[3]) found) =>
                (bool going, seq(float[3]) longer) { longer = SequenceInsert (found, x) }>
            y = ConcatFromSequence <axis = 0, new_axis = 1> (done)
        }""",
        most=np.int64(1 << 19),
    )
    with pytest.raises(NetworkError, match=r"SequenceInsert node 'longer': a tensor of shape \(7, 3\) has 21"):
        evaluate(read_graph(growing), {"x": floats(3)})


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(-3, 2), st.booleans()), min_size=4, max_size=4), st.sampled_from([9, 11, 16]))
def test_scans_run_along_any_axis_in_both_directions(ways, version):
    """Two scanned inputs and two outputs beside a state, each along its own axis."""
    axes = [axis if version > 9 else axis % 3 for axis, _ in ways]
    backwards = [int(back) for _, back in ways]
    x, z, state = floats(4, 4, 4), floats(4, 4, 4), floats(4, 4)
    model = model_of(
        """g (float[4,4] s, float[4,4,4] x, float[4,4,4] z) => (float[4,4] e, float[4,4,4] p, float[4,4,4] q) {
            e, p, q = Scan <num_scan_inputs = 2, body = b (float[4,4] v, float[4,4] a, float[4,4] b) =>
                (float[4,4] w, float[4,4] c, float[4,4] d) {
                    w = Sub (a, v)
                    c = Add (w, b)
                    d = Mul (w, b)
            }> (s, x, z)
        }""",
        version,
    )
    for i, what in enumerate(("input", "output")):
        parts = slice(2 * i, 2 * i + 2)
        ways_of = {f"scan_{what}_axes": axes[parts], f"scan_{what}_directions": backwards[parts]}
        model.graph.node[0].attribute.extend(helper.make_attribute(*pair) for pair in ways_of.items())
    steps = [np.moveaxis(t, axis, 0)[:: 1 - 2 * back] for t, axis, back in zip((x, z), axes, backwards)]  # noqa: B905
    found = [], []
    end = state
    for a, b in zip(*steps, strict=True):
        end = a - end
        found[0].append(end + b)
        found[1].append(end * b)
    wanted = [
        np.moveaxis(np.stack(y)[:: 1 - 2 * back], 0, axis) for y, (axis, back) in zip(found, ways[2:], strict=True)
    ]
    got = evaluate(read_graph(model), {"s": state, "x": x, "z": z}).values()
    for y, want in zip(got, (end, *wanted), strict=True):
        np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-5)


def test_scanned_inputs_have_one_length():
    model = model_of(
        """g (float[n] x, float[m] z) => (float[k] y) {
            y = Scan <num_scan_inputs = 2, body = b (float a, float c) => (float d) { d = Add (a, c) }> (x, z)
        }"""
    )
    x, z = floats(5), floats(5)
    assert np.array_equal(outputs_of(model, x=x, z=z)[0], x + z)
    with pytest.raises(NetworkError, match=r"Scan node 'y': its scanned inputs have the lengths \[5, 6\]"):
        evaluate(read_graph(model), {"x": floats(5), "z": floats(6)})


def test_the_first_scan_had_a_batch_and_lengths():
    model = model_of(
        """g (int64[2] n, float[2,1] s, float[2,4] x) => (float[2,1] e, float[2,4,1] y) {
            e, y = Scan <num_scan_inputs = 1, directions = [1], body = b (float[1] v, float a) =>
                (float[1] w, float[1] c) {
                    w = Add (v, a)
                    c = Neg (w)
            }> (n, s, x)
        }""",
        8,
    )
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    given = {"n": np.array([4, 2]), "s": np.ones((2, 1), np.float32), "x": x}
    end, y = evaluate(read_graph(model), given).values()
    assert end.tolist() == [[7], [10]]
    assert y[..., 0].tolist() == [[-4, -6, -7, -7], [-6, -10, 0, 0]]


@pytest.mark.parametrize("known", [True, False])
def test_branches_and_loops_may_give_a_tensor_twice(known):
    model = model_of(
        """g (float[2] x, bool c) => (float[2] y, float[2] z, float[2] end, float[n,2] all) {
            p, q = If (c) <then_branch = t () => (float[2] a, float[2] a) { a = Neg (x) },
                else_branch = e () => (float[2] b, float[2] b) { b = Identity (x) }>
            y = Abs (p)
            z = Neg (q)
            end, all = Loop (three, , x) <body = b (int64 i, bool before, float[2] v) =>
                (bool before, float[2] w, float[2] w) { w = Add (v, x) }>
        }""",
        three=np.int64(3),
    )
    x = np.array([1, -2], np.float32)
    for condition in (True, False):
        bound = {"c": condition} if known else {}
        given = {"x": x} if known else {"x": x, "c": np.array(condition)}
        y, z, end, collected = evaluate(read_graph(model, inputs=bound), given).values()
        assert np.array_equal(y, np.abs(x)) and np.array_equal(z, x if condition else -x)
        assert np.array_equal(end, 4 * x) and np.array_equal(collected, x * np.array([[2], [3], [4]]))


def test_branches_may_use_the_same_names_for_tensors_of_their_own():
    """Layers and shapes go by names: those of two branches must not be taken for one another."""

    def branch(factor):
        weight = numpy_helper.from_array(np.eye(4, dtype=np.float32) * factor, "w")
        nodes = [helper.make_node("MatMul", ["x", "w"], ["t"]), helper.make_node("Relu", ["t"], ["o"])]
        made = helper.make_tensor_value_info("o", onnx.TensorProto.FLOAT, [None, 4])
        return helper.make_graph(nodes, "b", [], [made], [weight])

    model = model_of(
        """g (float[n,4] x, bool c) => (float[n,4] y) {
            y = If (c) <then_branch = t () => (float[n,4] o) { o = Neg (x) },
                else_branch = e () => (float[n,4] o) { o = Neg (x) }>
        }"""
    )
    choice = model.graph.node[0]
    for attribute, factor in zip(choice.attribute, (2, 5), strict=True):
        attribute.g.CopyFrom(branch(factor))
    x = np.abs(floats(8, 4))
    compressed = eie.compress(model, 1.0, {"x": x, "c": np.array(True)})
    for condition, factor in ((True, 2), (False, 5)):
        got = eie.reference(compressed, {"x": x, "c": np.array(condition)})
        np.testing.assert_allclose(got, x * factor, rtol=0.02, atol=0.01)
