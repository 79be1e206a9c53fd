"""A sequence in pieces gives what it gives as a whole."""

import numpy as np
import pytest

import eie
from eie.errors import DeviceError, EieError, NetworkError
from eie.network.graph import Graph, Node, Value

CONFIG = eie.ArrayConfig(num_pes=4)
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
STEPS = 9


def network(operator, rng, initial="absent", **attributes):
    """Return a recurrent layer of 5 on 4 inputs, whose state begins as told, with a dense layer after it."""
    gates, directions = GATES[operator], 2 if attributes.get("direction") == "bidirectional" else 1
    constants = {
        "w": rng.standard_normal((directions, gates * 5, 4)) * 0.5,
        "r": rng.standard_normal((directions, gates * 5, 5)) * 0.5,
        "v": rng.standard_normal((5, 3)) * 0.5,
        "zeros": np.zeros((1, 2, 5)),
    }
    constants = {name: array.astype(np.float32) for name, array in constants.items()}
    constants["ends"] = np.array([1, -1, 5], np.int64)
    nodes = {
        "absent": ([], ""),
        "constant": ([], "zeros"),
        "of shapes": (
            [
                Node("Shape", ("x",), ("n",), {"start": 1, "end": 2}),
                Node("Concat", ("one", "n", "five"), ("s",), {"axis": 0}),
                Node("ConstantOfShape", ("s",), ("h0",), {"value": np.zeros(1, np.float32)}),
            ],
            "h0",
        ),
        "input": ([], "h"),
    }
    before, state = nodes[initial]
    constants.update(one=np.array([1], np.int64), five=np.array([5], np.int64))
    cell = Node(operator, ("x", "w", "r", "", "", state), ("y", "hn"), attributes, "cell")
    after = [Node("Squeeze", ("y", "axis"), ("z",)), Node("MatMul", ("z", "v"), ("out",), {}, "after")]
    constants["axis"] = np.array([1], np.int64)
    inputs = [Value("x", "float32", ("time", "batch", 4))]
    outputs = [Value("out")]
    if initial == "input":
        inputs.append(Value("h", "float32", (1, "batch", 5)))
        outputs.append(Value("hn"))
    return Graph([*before, cell, *after], inputs, outputs, constants)


@pytest.fixture
def x():
    return np.random.default_rng(3).standard_normal((STEPS, 2, 4)).astype(np.float32)


@pytest.mark.parametrize("initial", ["absent", "constant", "of shapes"])
@pytest.mark.parametrize("operator", GATES)
def test_layers_remember_from_piece_to_piece(operator, initial, x):
    model = eie.compress(network(operator, np.random.default_rng(0), initial), 1.0, x, method="magnitude")
    with eie.Accelerator(eie.EmulatedDevice(CONFIG)) as accelerator:
        whole = accelerator.run(x, model=model)
        stream = accelerator.stream(model)
        for _ in range(2):
            pieces = [stream.run(part, verify=True) for part in (x[:1], x[1:6], x[6:])]
            assert np.array_equal(np.concatenate(pieces), whole)
            stream.reset()
        assert not np.array_equal(accelerator.run(x[1:], model=model), whole[1:]), "a plain run begins anew"


def test_a_state_that_is_an_input_takes_what_the_output_gave(x):
    graph = network("GRU", np.random.default_rng(0), "input")
    h = np.zeros((1, 2, 5), np.float32)
    model = eie.compress(graph, 1.0, {"x": x, "h": h}, method="magnitude")
    with eie.Accelerator(eie.EmulatedDevice(CONFIG)) as accelerator:
        accelerator.load(model)
        whole = accelerator.run({"x": x, "h": h})
        stream = accelerator.stream(states={"h": "hn"})
        assert np.array_equal(np.concatenate([stream.run(x[:4]), stream.run(x[4:])]), whole["out"])
        assert np.array_equal(stream.kept["h"], whole["hn"])
        begun = accelerator.stream(states={"h": "hn"}, initial={"h": h + 0.5})
        assert np.array_equal(begun.run(x), accelerator.run({"x": x, "h": h + 0.5})["out"])


def test_streams_of_one_array_do_not_mix(x):
    model = eie.compress(network("LSTM", np.random.default_rng(0)), 1.0, x, method="magnitude")
    with eie.Accelerator(eie.EmulatedDevice(CONFIG)) as accelerator:
        first, second = accelerator.stream(model), accelerator.stream(model)
        expected = [accelerator.run(x, model=model), accelerator.run(-x, model=model)]
        mixed = [(first.run(x[i : i + 3]), second.run(-x[i : i + 3])) for i in range(0, STEPS, 3)]
        for parts, whole in zip(zip(*mixed, strict=True), expected, strict=True):
            assert np.array_equal(np.concatenate(parts), whole)


def test_a_piece_that_fails_may_be_tried_again(x):
    class Failing(eie.EmulatedDevice):
        fails_in = -1

        def receive(self, nbytes):
            self.fails_in -= 1
            if self.fails_in == 0:
                raise DeviceError("lost")
            return super().receive(nbytes)

    model = eie.compress(network("LSTM", np.random.default_rng(0)), 1.0, x, method="magnitude")
    device = Failing(CONFIG)
    with eie.Accelerator(device) as accelerator:
        whole = accelerator.run(x, model=model)
        stream = accelerator.stream(model)
        first = stream.run(x[:4])
        device.fails_in = 1
        with pytest.raises(DeviceError, match="lost"):
            stream.run(x[4:])
        assert np.array_equal(np.concatenate([first, stream.run(x[4:])]), whole)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_beside_named_states_layers_begin_anew(direction, x):
    """As they do in the network that is fed so: one that runs along frequencies remembers nothing of the last piece."""
    given = network("GRU", np.random.default_rng(0), direction=direction)
    last = Node("Add", ("before", "x"), ("after",))
    inputs = [*given.inputs, Value("before", "float32", ("time", "batch", 4))]
    graph = Graph([*given.nodes, last], inputs, [*given.outputs, Value("after")], given.constants)
    model = eie.compress(graph, 1.0, {"x": x, "before": x}, method="magnitude")
    with eie.Accelerator(eie.EmulatedDevice(CONFIG)) as accelerator:
        stream = accelerator.stream(model, {"before": "after"})
        first, second = stream.run(x), stream.run(x)
    assert np.array_equal(first, second)


def test_what_cannot_be_kept_is_refused(x):
    rng = np.random.default_rng(0)
    h = np.zeros((1, 2, 5), np.float32)
    model = eie.compress(network("GRU", rng, "input"), 1.0, {"x": x, "h": h}, method="magnitude")
    backwards = eie.compress(network("RNN", rng, direction="reverse"), 1.0, x, method="magnitude")
    chain = eie.compress(eie.Dense(rng.standard_normal((3, 4)).astype(np.float32)), 1.0)
    with eie.Accelerator(eie.EmulatedDevice(CONFIG)) as accelerator:
        for chosen, names, initial, words in (
            (model, {}, {}, "keeps nothing"),
            (model, {"g": "hn"}, {}, "no state 'g'; the network has x, h"),
            (model, {"h": "z"}, {}, "no state 'z'; the network has out, hn"),
            (model, {"h": "hn"}, {"x": x}, "'x' is given as a first state"),
            (backwards, {}, {}, "runs backwards"),
            (chain, {}, {}, "a chain of layers has no states"),
        ):
            with pytest.raises(EieError, match=words):
                accelerator.stream(chosen, names, initial)
        stream = accelerator.stream(model, {"h": "hn"})
        stream.run(x)
        with pytest.raises(NetworkError, match="does not fit"):
            stream.run(x[:, :1])
