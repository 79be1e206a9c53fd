"""Row scales: rows of all sizes share values, each times a scale that the array multiplies its sums by."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import eie
from eie.compression.compensation import compensate
from eie.compression.least_squares import least_squares
from eie.compression.report import sqnr_db
from eie.compression.row_units import LARGEST_SPREAD, scales_of_rows
from eie.compression.scaling import ROW_SHIFT, row_scaling
from eie.contract.config import SCALE_BITS
from eie.contract.fixed_point import ACTIVATION_MAX, ACTIVATION_MIN
from eie.errors import NetworkError
from eie.network.graph import Graph, Node, Value
from tests.driver.compression.networks import run


def uneven_layer(rows, columns, spread, seed=0, activation=None):
    """A layer whose rows differ in size, by up to this factor."""
    rng = np.random.default_rng(seed)
    sizes = spread ** -rng.random(rows)
    weight = rng.normal(0, 0.3, (rows, columns)) * sizes[:, None]
    return eie.Dense(weight.astype(np.float32), (rng.normal(0, 0.5, rows) * sizes).astype(np.float32), activation)


NETWORK = [uneven_layer(60, 40, 10, 1, "relu"), uneven_layer(20, 60, 10, 2)]
X = np.random.default_rng(3).standard_normal((600, 40)).astype(np.float32)


def floats(x):
    hidden = np.maximum(x @ NETWORK[0].weight.T + NETWORK[0].bias, 0)
    return hidden @ NETWORK[1].weight.T + NETWORK[1].bias


@pytest.mark.parametrize("terms", [1, 2])
def test_rows_of_all_sizes_gain_2_db_and_the_array_computes_the_reference(tmp_path, terms):
    plain, scaled = (eie.compress(NETWORK, 1.0, X, row_scales=choice, terms=terms) for choice in (False, True))
    assert [layer.scaling for layer in plain.layers] == [None, None]
    assert all(layer.scaling is not None for layer in scaled.layers)
    assert sqnr_db(floats(X), run(scaled, X)) > sqnr_db(floats(X), run(plain, X)) + 2
    eie.save(scaled, tmp_path / "scaled.eie")
    assert eie.load(tmp_path / "scaled.eie") == scaled
    with eie.Accelerator(eie.EmulatedDevice(eie.ArrayConfig(num_pes=4))) as accelerator:
        accelerator.run(X, model=scaled, verify=True)


@pytest.mark.filterwarnings("ignore::eie.errors.AccuracyWarning")
@pytest.mark.parametrize("effort", ["fast", "thorough"])
def test_they_are_taken_of_themselves_where_they_save_1_5_db(effort):
    assert all(layer.scaling is not None for layer in eie.compress(NETWORK, 1.0, X, effort=effort).layers)
    pruned = eie.compress(NETWORK, 0.1, X, effort=effort, allocation="uniform")
    assert all(layer.scaling is None for layer in pruned.layers), "pruning costs far more than sharing"


def test_a_layer_that_15_values_serve_has_none():
    weight = np.random.default_rng(0).choice([-1.0, 0.0, 0.25, 0.5], (30, 40)).astype(np.float32)
    (layer,) = eie.compress(eie.Dense(weight), 1.0, X, row_scales=True).layers
    assert layer.scaling is None and np.array_equal(layer.dense_weights(), weight)


def test_a_layer_with_scales_is_in_floats_what_it_computes():
    (layer,) = eie.compress(NETWORK[:1], 1.0, X, row_scales=True).layers
    dense = layer.to_dense()
    model = eie.Model([layer])
    assert sqnr_db(np.maximum(X @ dense.weight.T + dense.bias, 0), run(model, X)) > 60


def test_rows_whose_weights_decayed_to_next_to_nothing_lose_them_and_the_others_keep_their_precision():
    decayed = uneven_layer(60, 40, 10, 1)
    decayed.weight[:5] *= 1e-28
    (layer,) = eie.compress([decayed], 1.0, X, row_scales=True, terms=2, effort="fast").layers
    assert not layer.dense_weights()[:5].any()
    assert sqnr_db(X @ decayed.weight.T + decayed.bias, run(eie.Model([layer]), X)) > 35


def test_a_linear_map_of_a_graph_has_scales_and_one_whose_outputs_the_host_scales_anyway_has_none():
    conv = np.random.default_rng(0).normal(0, 1, (6, 2, 1, 1)) * np.array([1, 0.1, 0.1, 1, 1, 0.2])[:, None, None, None]
    constants = {"k": conv.astype(np.float32), "w": uneven_layer(30, 24, 10).weight, "shape": np.array([-1, 24])}
    nodes = [
        Node("Conv", ("x", "k"), ("c",), {}, "conv"),
        Node("Sigmoid", ("c",), ("s",)),
        Node("Reshape", ("s", "shape"), ("f",)),
        Node("Gemm", ("f", "w"), ("y",), {"transB": 1}, "last"),
    ]
    graph = Graph(nodes, [Value("x", "float32", ("batch", 2, 2, 2))], [Value("y")], constants)
    x = np.random.default_rng(1).standard_normal((300, 2, 2, 2)).astype(np.float32)
    model = eie.compress(graph, 1.0, x, row_scales=True)
    assert [layer.scaling is not None for layer in model.layers] == [False, True]
    with eie.Accelerator(eie.EmulatedDevice(eie.ArrayConfig(num_pes=4))) as accelerator:
        accelerator.run(x[:5], model=model, verify=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"row_scales": 1}, "row_scales is 1; it must be True, False or None"),
        ({"row_scales": True, "method": "magnitude"}, 'row_scales=True needs method="compensated"'),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(NetworkError, match=message):
        eie.compress(NETWORK, 0.5, X, **options)


def test_the_choice_saves_1_5_db_or_is_one_scale():
    for seed in range(20):
        layer = uneven_layer(9, 16, 1 + seed, seed)
        task = least_squares(layer.weight, layer.bias, X[:, :16], X[:, :16], np.ones(9))
        plain, chosen = (
            compensate(task, layer.weight, None, "kmeans", "auto", lambda stage: None, 1, choice)
            for choice in (False, None)
        )
        if chosen.units is None:
            assert task.loss(chosen.shared) == task.loss(plain.shared)
        else:
            assert task.damped_loss(chosen.shared) < 10**-0.15 * task.damped_loss(plain.shared)


@given(st.lists(st.floats(1e-30, 1e30), min_size=1, max_size=8), st.floats(0, 1e30), st.integers(0, 2**32 - 1))
def test_units_keep_their_spread_and_no_bias_costs_more_than_four_bits(sizes, bias_size, seed):
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((len(sizes), 5)) * np.array(sizes)[:, None]
    bias = rng.standard_normal(len(sizes)) * bias_size
    assume(np.abs(weight).max() > 0)
    units = scales_of_rows(weight, bias)
    assert units.max() == 1 and units.min() >= 1 / LARGEST_SPREAD
    assert np.abs(bias / units).max() <= 16 * np.abs(bias).max() * (1 + 1e-9)


@given(
    st.lists(st.floats(1 / LARGEST_SPREAD, 1), max_size=7),
    st.integers(0, ROW_SHIFT),
    st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=9),
)
def test_scaled_sums_saturate_with_their_outputs_and_are_else_as_near_as_the_scale(units, shift, sums):
    units = np.array([1.0, *units])
    scaling, scaled_shift = row_scaling(units, shift)
    assert 0 <= scaled_shift <= 47
    s = np.array(sums)[:, None] + (1 << scaling.pre_shift >> 1) + np.zeros(len(units), np.int64)
    found = scaling.finish(s, scaled_shift, relu=False)
    wanted = np.array(sums)[:, None] * units / 2.0**shift
    step = units * 2.0 ** (scaling.pre_shift - shift) / 2
    off = np.abs(wanted) / (units * 2.0 ** (SCALE_BITS - 1)) + step + 1
    assert (np.abs(found - np.clip(wanted, ACTIVATION_MIN, ACTIVATION_MAX)) <= off).all()


@pytest.mark.parametrize("make", [eie.LSTM, eie.GRU])
def test_gates_of_recurrent_layers_have_them_too(tmp_path, make):
    rng = np.random.default_rng(0)
    hidden, gates = 24, len(make.order)
    sizes = np.tile(10 ** -rng.random(hidden), gates)[:, None]
    weights = [(rng.standard_normal((gates * hidden, n)) * sizes / 2).astype(np.float32) for n in (10, hidden)]
    layer, x = make(*weights), rng.standard_normal((20, 30, 10)).astype(np.float32)
    models = [eie.compress(layer, 1.0, x[:12], row_scales=choice) for choice in (False, True)]
    assert [all(gate.scaling is not None for gate in model.layers) for model in models] == [False, True]
    with eie.Accelerator(eie.EmulatedDevice(eie.ArrayConfig(num_pes=4))) as accelerator:
        plain, scaled = (accelerator.run(x[12:], model=model, verify=True) for model in models)
    exact = eie.compress(layer, 1.0, x[:12], row_scales=True, terms=2)
    wanted = eie.reference(exact, quantised(exact, x[12:])) * 2.0**-exact.output_fraction_bits
    assert sqnr_db(wanted, scaled) > sqnr_db(wanted, plain) + 2
    eie.save(models[1], tmp_path / "scaled.eie")
    assert eie.load(tmp_path / "scaled.eie") == models[1]


def quantised(model, x):
    return np.rint(np.ldexp(x, model.input_fraction_bits)).clip(ACTIVATION_MIN, ACTIVATION_MAX).astype(np.int16)
