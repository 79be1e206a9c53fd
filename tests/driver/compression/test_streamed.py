"""Calibration with the states that a network has when it is fed piece by piece."""

import numpy as np
import pytest

import eie
from eie.compression.streamed import streamed_calibration
from eie.errors import NetworkError
from eie.network.evaluation import evaluate
from eie.network.graph import Graph, Node, Value

RNG = np.random.default_rng(0)
STATES = {"h": "hn", "c": "cn"}
PIECES = RNG.standard_normal((12, 3, 4)).astype(np.float32)
"""Time, sequences, columns."""


def network(state=(1, "batch", 5), x=("batch", 4)):
    """Return an LSTM of one time step, its states inputs and outputs, with a dense layer behind it."""
    sizes = {"w": (1, 20, 4), "r": (1, 20, 5), "b": (1, 40), "v": (5, 2)}
    constants = {name: (0.7 * RNG.standard_normal(size)).astype(np.float32) for name, size in sizes.items()}
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
    found = streamed_calibration(graph, {"x": PIECES}, STATES)
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
    assert model == eie.compress(graph, 1.0, streamed_calibration(graph, PIECES, STATES), terms=2)
    with eie.Accelerator(eie.EmulatedDevice(eie.ArrayConfig(num_pes=4))) as accelerator:
        stream = accelerator.stream(model, STATES)
        got = np.stack([stream.run(piece, verify=True) for piece in PIECES])
    want = streamed_calibration(graph, PIECES, STATES)
    want = evaluate(graph, want)["out"].reshape(12, 3, 2)
    assert 10 * np.log10((want**2).sum() / ((got - want) ** 2).sum()) > 30


def test_of_several_open_sizes_the_batch_is_the_one_that_all_inputs_name():
    given = streamed_calibration(network(x=("batch", "samples")), PIECES, STATES)
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
        streamed_calibration(network(), calibration, states)


def test_an_input_must_leave_the_batch_open():
    with pytest.raises(NetworkError, match="must have one axis of open size"):
        streamed_calibration(network((1, 3, 5)), PIECES, STATES)


def test_a_chain_of_layers_has_no_states():
    with pytest.raises(NetworkError, match="a graph where states are named"):
        eie.compress(eie.Dense(np.ones((2, 4), np.float32)), 1.0, PIECES, states=STATES)
