"""Calibration with the states that a network has when it is fed piece by piece."""

import numpy as np
import pytest

import eie
from eie.compression.streamed import Stream
from eie.errors import NetworkError
from eie.network.evaluation import evaluate
from eie.network.graph import Graph, Node, Value

STATES = {"h": "hn", "c": "cn"}
PIECES = np.random.default_rng(0).standard_normal((12, 3, 4)).astype(np.float32)
"""Time, sequences, columns."""


def network(state=(1, "batch", 5), x=("batch", 4)):
    """Return an LSTM of one time step, its states inputs and outputs, with a dense layer behind it."""
    rng = np.random.default_rng(1)
    sizes = {"w": (1, 20, 4), "r": (1, 20, 5), "b": (1, 40), "v": (5, 2)}
    constants = {name: (0.7 * rng.standard_normal(size)).astype(np.float32) for name, size in sizes.items()}
    constants["axis"], constants["axes"] = np.array([0], np.int64), np.array([0, 1], np.int64)
    nodes = [
        Node("Unsqueeze", ("x", "axis"), ("sequence",)),
        Node("LSTM", ("sequence", "w", "r", "b", "", "h", "c"), ("y", "hn", "cn"), {}, "cell"),
        Node("Squeeze", ("y", "axes"), ("last",)),
        Node("MatMul", ("last", "v"), ("out",), {}, "head"),
    ]
    inputs = [Value("x", "float32", x), Value("h", "float32", state), Value("c", "float32", state)]
    return Graph(nodes, inputs, [Value("out"), Value("hn"), Value("cn")], constants)


def test_the_pieces_come_with_the_states_that_a_stream_has_there():
    graph = network()
    found = Stream(graph, {"x": PIECES}, STATES).samples[0]
    assert found["x"].shape == (36, 4) and found["h"].shape == (1, 36, 5)
    states = {name: np.zeros((1, 3, 5), np.float32) for name in STATES}
    for time, piece in enumerate(PIECES):
        at = slice(3 * time, 3 * time + 3)
        assert np.array_equal(found["x"][at], piece)
        assert all(np.array_equal(found[name][:, at], state) for name, state in states.items())
        outputs = evaluate(graph, {"x": piece, **states})
        states = {name: outputs[output] for name, output in STATES.items()}


def test_compress_takes_sequences_and_the_names_of_the_states():
    graph = network()
    model = eie.compress(graph, 1.0, PIECES, states=STATES, terms=2)
    assert model.metadata["compression"]["calibration"]["samples"] == 36
    assert model.sequences == eie.compress(graph, 1.0, Stream(graph, PIECES, STATES).samples[0], terms=2).sequences
    with eie.Accelerator(eie.EmulatedDevice(eie.ArrayConfig(num_pes=4))) as accelerator:
        stream = accelerator.stream(model, STATES)
        got = np.stack([stream.run(piece, verify=True) for piece in PIECES])
    want = Stream(graph, PIECES, STATES).samples[0]
    want = evaluate(graph, want)["out"].reshape(12, 3, 2)
    assert 10 * np.log10((want**2).sum() / ((got - want) ** 2).sum()) > 30


def test_of_several_open_sizes_the_batch_is_the_one_that_all_inputs_name():
    given = Stream(network(x=("batch", "samples")), PIECES, STATES).samples[0]
    assert given["x"].shape == (36, 4) and given["h"].shape == (1, 36, 5)


@pytest.mark.parametrize(
    "calibration, states, message",
    [
        (None, STATES, "give calibration"),
        (PIECES, {"h": "nothing"}, "no state 'nothing'"),
        (PIECES, {"nothing": "hn"}, "no state 'nothing'"),
        ({"y": PIECES}, STATES, "calibration is of y"),
        (PIECES[:0], STATES, "lengths"),
        (PIECES, "h", "dict of inputs"),
    ],
)
def test_what_does_not_fit_is_named(calibration, states, message):
    with pytest.raises(NetworkError, match=message):
        Stream(network(), calibration, states)


def test_what_is_of_an_open_size_must_tell_the_batch():
    with pytest.raises(NetworkError, match="must have one axis of open size"):
        Stream(network(x=("a", "b"), state=(1, "c", 5)), PIECES, STATES)


def test_sequences_of_states_of_a_fixed_size_run_one_by_one():
    apart = Stream(network((1, 1, 5), (1, 4)), PIECES, STATES)
    at_once = Stream(network(), PIECES, STATES)
    assert (apart.batch, apart.pieces, len(apart.samples)) == (3, 12, 36)
    for name, axis in at_once.axes.items():
        assert np.allclose(np.concatenate([x[name] for x in apart.samples], axis), at_once.samples[0][name], atol=1e-6)
    some = apart.some(np.array([2]))
    assert np.array_equal(some.samples[5]["h"], apart.samples[3 * 5 + 2]["h"])


@pytest.mark.parametrize("refit", [None, False])
def test_a_network_whose_batch_is_fixed_is_compressed_on_all_sequences(refit):
    fixed = network((1, 1, 5), (1, 4))
    flat = Node("Reshape", ("out", "any"), ("flat",))
    outputs, constants = [Value("flat"), *fixed.outputs[1:]], {**fixed.constants, "any": np.array([-1])}
    fixed = Graph([*fixed.nodes, flat], fixed.inputs, outputs, constants)  # without a batch, so it cannot be opened
    one, other = (eie.compress(graph, 0.5, PIECES, states=STATES, refit=refit) for graph in (fixed, network()))
    assert one.metadata["compression"]["calibration"]["samples"] == 36
    unseen = Stream(network(), np.random.default_rng(2).standard_normal((12, 1, 4)).astype(np.float32), STATES)
    want = unseen.outputs(lambda piece: evaluate(network(), piece))["out"]

    def piece_of_one(piece):
        found = eie.reference(one, piece)
        return {"out": found["flat"][None], "hn": found["hn"], "cn": found["cn"]}

    found = unseen.outputs(lambda piece: eie.reference(other, piece)), unseen.outputs(piece_of_one)
    errors = [float(np.square(y["out"] - want).mean()) for y in found]
    assert errors[1] < 1.3 * errors[0]


def test_a_chain_of_layers_has_no_states():
    with pytest.raises(NetworkError, match="a graph where states are named"):
        eie.compress(eie.Dense(np.ones((2, 4), np.float32)), 1.0, PIECES, states=STATES)


def lasting(seed, hidden=16, columns=12, between=24):
    """Return a dense layer, a cell that forgets little, and a dense layer."""
    rng = np.random.default_rng(seed)
    sizes = {"u": (columns, between), "w": (1, 4 * hidden, between), "r": (1, 4 * hidden, hidden), "v": (hidden, 2)}
    scale = {name: (size[-1] if len(size) == 3 else size[0]) ** -0.5 for name, size in sizes.items()}
    constants = {name: (scale[name] * rng.standard_normal(size)).astype(np.float32) for name, size in sizes.items()}
    constants["b"] = np.repeat([0, 0, 3, 0] + [0] * 4, hidden).astype(np.float32)[None]  # the third is the forget gate
    constants["axis"], constants["axes"] = np.array([0], np.int64), np.array([0, 1], np.int64)
    nodes = [
        Node("MatMul", ("x", "u"), ("m",), {}, "first"),
        Node("Relu", ("m",), ("n",)),
        Node("Unsqueeze", ("n", "axis"), ("sequence",)),
        Node("LSTM", ("sequence", "w", "r", "b", "", "h", "c"), ("y", "hn", "cn"), {}, "cell"),
        Node("Squeeze", ("y", "axes"), ("last",)),
        Node("MatMul", ("last", "v"), ("out",), {}, "head"),
    ]
    state = (1, "batch", hidden)
    inputs = [Value("x", "float32", ("batch", columns)), Value("h", "float32", state), Value("c", "float32", state)]
    return Graph(nodes, inputs, [Value("out"), Value("hn"), Value("cn")], constants)


@pytest.mark.filterwarnings("ignore::eie.errors.AccuracyWarning")
@pytest.mark.parametrize("seed", range(2))
def test_weights_go_where_errors_last(seed):
    graph = lasting(seed)
    calibration, unseen = np.random.default_rng(9 + seed).standard_normal((2, 40, 20, 12)).astype(np.float32)
    stream = Stream(graph, unseen, STATES)
    want = stream.outputs(lambda piece: evaluate(graph, piece))["out"]
    ratios = []
    for typical in (
        {"calibration": Stream(graph, calibration, STATES).samples[0]},
        {"calibration": calibration, "states": STATES},
    ):
        model = eie.compress(graph, 0.3, **typical)
        got = stream.outputs(lambda piece, model=model: eie.reference(model, piece))["out"]
        ratios.append(10 * np.log10((want**2).sum() / ((got - want) ** 2).sum()))
    assert ratios[1] > ratios[0] + 1


def test_the_report_is_about_the_states_that_the_compressed_network_has():
    graph = network()
    model = eie.compress(graph, 0.5, PIECES, states=STATES)
    given = Stream(graph, PIECES, STATES).samples[0]
    want = evaluate(graph, given)
    states, found = {name: np.zeros((1, 3, 5), np.float32) for name in STATES}, []
    for piece in PIECES:
        found.append(eie.reference(model, {"x": piece, **states}))
        states = {name: found[-1][output] for name, output in STATES.items()}
    got = {name: np.concatenate([each[name] for each in found], axis=int(name != "out")) for name in want}
    ratios = [10 * np.log10((want[name] ** 2).sum() / ((got[name] - want[name]) ** 2).sum()) for name in want]
    assert model.metadata["compression"]["end_sqnr_db"] == pytest.approx(min(ratios), abs=0.01)
