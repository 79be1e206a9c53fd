"""Layers and inputs at the edge of what there is: compensation serves them, and no worse than magnitude does."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eie
from eie.compression.report import CompressionReport
from eie.errors import AccuracyWarning
from tests.driver.compression.networks import forward, run

RNG = np.random.default_rng(0)
X = (RNG.standard_normal((200, 6)) @ RNG.standard_normal((6, 40)) + 0.3 * RNG.standard_normal((200, 40))).astype("f4")


def weights(rows, columns):
    return (RNG.standard_normal((rows, columns)) * np.sqrt(2 / columns)).astype(np.float32)


W, LAST = weights(24, 40), weights(6, 24)
SPARSE = np.where(RNG.random(W.shape) < 0.1, W, 0)
ONE_HOT = np.eye(40, dtype=np.float32)[RNG.integers(0, 40, 200)]
CASES = {
    "inputs that repeat others": (W, None, np.repeat(X[:, :20], 2, axis=1)),
    "dead inputs": (W, None, X * (np.arange(40) % 3 > 0)),
    "inputs that are all dead": (W, np.ones(24), X * 0),
    "constant columns": (W, None, np.where(np.arange(40) % 3 > 0, X, 0.7)),
    "inputs that are all constant": (W, None, np.full((20, 40), 0.7)),
    "one sample": (W, None, X[:1]),
    "fewer samples than inputs": (W, None, X[:16]),
    "outputs that are all zero": (-np.abs(W), None, np.abs(X)),
    "weights that are all zero": (W * 0, np.ones(24), X),
    "weights of one value": (np.full_like(W, 0.1), None, X),
    "sparse weights": (SPARSE, None, X),
    "a huge bias": (W, np.full(24, 1e6), X),
    "one huge bias": (W, np.where(np.arange(24) == 3, 1e4, 0), X),
    "large columns": (W * np.where(np.arange(40) < 4, 1000, 1), None, X),
    "inputs one at a time": (W, None, ONE_HOT),
    "inputs far from zero": (W, None, X + 100),
    "an input of another scale": (W, None, X * np.where(np.arange(40) == 3, 1e4, 1)),
    "heavy tails": (RNG.standard_t(1.5, W.shape) * 0.1, None, X),
}


def error(model, network, x):
    return float(np.sum((forward(network, x) - run(model, x.astype(np.float32))) ** 2))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    "options", [{"density": 0.3}, {"density": 0.3, "effort": "fast"}, {"density": 0.3, "terms": 2}]
)
def test_compensation_serves_it_no_worse_than_magnitude(name, options):
    weight, bias, x = CASES[name]
    network = [eie.Dense(weight, bias, "relu"), eie.Dense(LAST)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        model = eie.compress(network, calibration=x, **options)
        plain = eie.compress(network, 0.3, x, method="magnitude")
    assert CompressionReport.from_dict(model.metadata["compression"]).output_sqnr_db > -1
    power = float(np.sum(forward(network, x) ** 2))
    assert error(model, network, x) <= error(plain, network, x) + 1e-6 * power


@pytest.mark.parametrize("shape", [(1, 40), (24, 1), (1, 1)])
@pytest.mark.filterwarnings("ignore::eie.errors.AccuracyWarning")
def test_layers_of_one_row_or_column_are_compressed(shape):
    layer = eie.Dense(weights(*shape))
    x = X[:, : shape[1]]
    model = eie.compress(layer, 1.0, x)
    assert error(model, [layer], x) <= 1e-2 * float(np.sum(forward([layer], x) ** 2))


def test_few_values_are_kept_though_the_layer_before_has_changed():
    last = eie.Dense(RNG.integers(-7, 8, (5, 24)) / 8)
    model = eie.compress([eie.Dense(W, None, "relu"), last], [0.5, 1.0], X)
    assert np.array_equal(model.layers[1].dense_weights(), last.weight)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    distinct=st.integers(1, 15),
    zeros=st.sampled_from([0, 0.5]),
    effort=st.sampled_from(["fast", "thorough"]),
    samples=st.sampled_from([1, 9, 100]),
)
def test_a_density_of_1_keeps_few_values_exactly(seed, distinct, zeros, effort, samples):
    rng = np.random.default_rng(seed)
    values = rng.integers(-(2**14) + 1, 2**14, distinct) / 2**14
    network = []
    for i, (rows, columns) in enumerate([(12, 40), (5, 12)]):
        weight = np.where(rng.random((rows, columns)) < zeros, 0, rng.choice(values, (rows, columns)))
        network.append(eie.Dense(weight, None, "relu" if i == 0 else None))
    model = eie.compress(network, 1.0, X[:samples], effort=effort)
    for dense, layer in zip(network, model.layers, strict=True):
        assert np.array_equal(layer.dense_codes() > 0, dense.weight != 0)
        assert np.array_equal(layer.dense_weights(), dense.weight)
