"""A run tells what saturated: the inputs and each layer's outputs, once as a warning."""

import warnings

import numpy as np
import pytest

import eie
from eie.errors import AccuracyWarning
from eie.network.graph import Graph, Node, Value
from eie.runtime.saturation import Saturation


def accelerator(network, calibration=None):
    acc = eie.Accelerator("emulated")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        acc.load(eie.compress(network, 1.0, calibration, sharing="linear"))
    return acc


def test_inputs_beyond_those_of_the_calibration_are_counted_and_warned_of_once():
    with accelerator([eie.Dense(np.eye(3), name="fc")]) as acc:
        with pytest.warns(AccuracyWarning, match=r"3 inputs.*outputs of layer 'fc'.*calibrate with typical inputs"):
            y = acc.run([100.0, 200.0, 250.0], verify=True)
        assert y.max() < 8.1  # what no verification shows
        assert acc.saturation.inputs == 3
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            acc.run([100.0, 200.0, 250.0])
        assert acc.saturation.inputs == 3
        acc.run([1.0, 2.0, -3.0])
        assert acc.saturation.known == 0


def test_layers_between_are_counted_where_they_are_verified():
    network = [eie.Dense(np.eye(4) * 3, activation="relu", name="a"), eie.Dense(np.eye(4) / 100, name="b")]
    with accelerator(network, np.ones((4, 4))) as acc:
        with pytest.warns(AccuracyWarning, match="4 outputs of layer 'a'"):
            acc.run(np.full((1, 4), 1.99999), verify=True)
            acc.run(np.full((1, 4), 50.0), verify=True)
        assert acc.saturation.outputs[0] == 4
        acc.run(np.full((1, 4), 50.0))
        assert acc.saturation.outputs[0] is None and acc.saturation.inputs == 4
        assert acc.saturation.between == 4, "the array counted them"


def test_the_array_tells_what_layers_between_lose_where_nothing_is_verified():
    network = [eie.Dense(np.ones((4, 4)), activation="relu", name="a"), eie.Dense(np.eye(4) / 100, name="b")]
    with accelerator(network, np.eye(4)) as acc:
        acc.clear_counters()
        with pytest.warns(AccuracyWarning, match="8 outputs of layers between, of 2 vectors"):
            acc.run(np.ones((2, 4)))
        assert acc.saturation.between == 8 and acc.saturation.lost == acc.counters.saturated
        assert acc.saturation.inputs == 0 and acc.saturation.outputs[0] is None
        acc.run(np.eye(4))
        assert acc.saturation.known == 0


def test_all_layers_of_a_graph_are_counted_and_warned_of_once():
    rng = np.random.default_rng(4)
    constants = {
        "w": rng.standard_normal((2, 1, 2, 2)).astype(np.float32),
        "v": rng.standard_normal((18, 3)).astype(np.float32),
    }
    nodes = [
        Node("Conv", ("x", "w"), ("c",), {}, "conv"),
        Node("Sigmoid", ("c",), ("s",)),
        Node("Mul", ("c", "s"), ("m",)),
        Node("Flatten", ("m",), ("f",)),
        Node("MatMul", ("f", "v"), ("y",), {}, "last"),
    ]
    graph = Graph(nodes, [Value("x", "float32", ("batch", 1, 4, 4))], [Value("y")], constants)
    typical = rng.standard_normal((20, 1, 4, 4)).astype(np.float32)
    model = eie.compress(graph, 1.0, typical)
    accelerator = eie.Accelerator("emulated")
    accelerator.load(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        accelerator.run(typical[:2])
    assert accelerator.saturation == Saturation(0, (0, 0))
    with pytest.warns(AccuracyWarning, match="of layer 'conv', .* of layer 'last'") as caught:
        accelerator.run(typical[:2] * 1000)
        accelerator.run(typical[:2] * 1000)
    assert len(caught) == 1
    assert accelerator.saturation.inputs > 0 and all(accelerator.saturation.outputs)
