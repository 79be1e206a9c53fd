"""Channels of a layer's inputs in units of their own, where they differ by orders of magnitude."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eie
from eie.compression.channel_units import in_channel_units
from eie.compression.report import sqnr_db
from eie.network.evaluation import evaluate
from eie.network.graph import Graph, Node, Value

CHANNELS, HIDDEN = 6, 16


def network(operator="LSTM", attributes=None, directions=1, sizes=None):
    """Return a layer whose weights make up for the sizes of the channels."""
    rng, gates = np.random.default_rng(0), 4 if operator == "LSTM" else 3
    sizes = np.ones(CHANNELS) if sizes is None else sizes
    w = rng.standard_normal((directions, gates * HIDDEN, CHANNELS)) / np.where(sizes > 0, sizes, 1)
    r = rng.standard_normal((directions, gates * HIDDEN, HIDDEN)) / HIDDEN**0.5
    constants = {"w": w.astype(np.float32), "r": r.astype(np.float32)}
    given = {"hidden_size": HIDDEN, **(attributes or {})}
    node = Node(operator, ("x", "w", "r"), ("y",), given, "cell")
    return Graph([node], [Value("x", "float32", (None, None, CHANNELS))], [Value("y")], constants)


def sequences(sizes, seed=1, time=20, batch=24):
    return (np.random.default_rng(seed).uniform(-1, 1, (time, batch, CHANNELS)) * sizes).astype(np.float32)


@given(
    st.lists(st.sampled_from([0.0, 1e-6, 1e-3, 0.02, 1.0, 300.0]), min_size=CHANNELS, max_size=CHANNELS),
    st.sampled_from(
        [("LSTM", {}, 1), ("LSTM", {"direction": "bidirectional"}, 2), ("GRU", {}, 1), ("GRU", {"layout": 1}, 1)]
    ),
)
def test_floats_do_not_change(sizes, kind):
    graph, x = network(*kind, np.array(sizes)), sequences(np.array(sizes), time=3, batch=2)
    found = in_channel_units(graph, [{"x": x}])
    assert np.array_equal(evaluate(graph, {"x": x})["y"], evaluate(found, {"x": x})["y"])
    known = [size for size in sizes if size]
    assert (found is graph) or max(known) > min(known)


def test_channels_come_near_the_loudest_and_silent_ones_stay():
    sizes = np.array([1, 0.5, 0.01, 1e-4, 1e-9, 0])
    graph = in_channel_units(network(sizes=sizes), [{"x": np.tile(sizes.astype(np.float32), (5, 2, 1))}])
    assert [node.operator for node in graph.nodes] == ["Mul", "LSTM"]
    units = graph.constants[graph.nodes[0].inputs[1]]
    assert units.tolist() == [1, 2, 2**6, 2**13, 2**15, 1]
    assert graph.nodes[1].inputs[1] in graph.constants and "w" not in graph.constants


def test_channels_of_about_one_size_stay_as_they_are():
    graph = network()
    assert in_channel_units(graph, [{"x": sequences(np.array([1, 1, 0.5, 0.3, 0.9, 0.15]))}]) is graph


@pytest.mark.parametrize("operator", ["LSTM", "GRU"])
def test_spectra_are_compressed_as_well_as_what_is_all_alike(tmp_path, operator):
    sizes = np.geomspace(1, 1e-4, CHANNELS)
    ratios = []
    for scale in (np.ones(CHANNELS), sizes):
        graph, x = network(operator, sizes=scale), sequences(scale, 2)
        model = eie.compress(graph, 1.0, sequences(scale), terms=2)
        with eie.Accelerator(eie.EmulatedDevice(eie.ArrayConfig(num_pes=4))) as accelerator:
            ratios.append(sqnr_db(evaluate(graph, {"x": x})["y"], accelerator.run(x, model=model, verify=True)))
    assert ratios[1] > ratios[0] - 3 and ratios[0] > 35
    eie.save(model, tmp_path / "spectra.eie")
    assert eie.load(tmp_path / "spectra.eie") == model


def test_a_layer_alone_takes_its_inputs_as_they_are():
    rng = np.random.default_rng(0)
    layer = eie.LSTM(rng.standard_normal((4 * HIDDEN, CHANNELS)), rng.standard_normal((4 * HIDDEN, HIDDEN)) / 4)
    x = sequences(np.geomspace(1, 0.01, CHANNELS)).swapaxes(0, 1)
    model = eie.compress(layer, 1.0, x, terms=2)
    assert model.columns == CHANNELS
    with eie.Accelerator(eie.EmulatedDevice(eie.ArrayConfig(num_pes=4))) as accelerator:
        assert accelerator.run(x, model=model, verify=True).shape == (*x.shape[:2], HIDDEN)


def depthwise(operator, sizes):
    """Return a network that brings channels to these sizes, and a convolution whose weights make up for them."""
    channels = len(sizes)
    shape = (channels, 1, 3, 3) if operator == "ConvTranspose" else (2 * channels, 1, 3, 3)
    weight = np.random.default_rng(0).standard_normal(shape)
    weight /= sizes.repeat(len(weight) // channels).reshape(-1, 1, 1, 1)
    constants = {"w": weight.astype(np.float32), "sizes": sizes.reshape(-1, 1, 1).astype(np.float32)}
    nodes = [Node("Mul", ("x", "sizes"), ("s",)), Node(operator, ("s", "w"), ("y",), {"group": channels}, "conv")]
    return Graph(nodes, [Value("x", "float32", (None, channels, 7, 7))], [Value("y")], constants)


@pytest.mark.parametrize("operator", ["Conv", "ConvTranspose"])
def test_a_depthwise_convolution_takes_quiet_channels_as_well_as_loud_ones(operator):
    x, other = (np.random.default_rng(seed).standard_normal((6, 4, 7, 7)).astype(np.float32) for seed in (1, 2))
    ratios = []
    for sizes in (np.ones(4), np.array([1, 2**-4, 2**-13, 2**-9])):
        graph = depthwise(operator, sizes)
        want = evaluate(graph, {"x": other})["y"]
        assert np.array_equal(evaluate(in_channel_units(graph, [{"x": x}]), {"x": other})["y"], want)
        ratios.append(sqnr_db(want, eie.reference(eie.compress(graph, 1.0, x, terms=2, effort="fast"), other)))
    assert min(ratios) > 45, "6 dB where all channels have one unit"
