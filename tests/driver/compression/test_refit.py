"""Refit of recurrent layers through time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eie
from eie.compression.compensation import Compensated
from eie.compression.learner import Sequences
from eie.compression.refit import Steps, error, refit
from eie.compression.through_time import Unrolled
from eie.contract.fixed_point import quantise
from eie.errors import NetworkError
from eie.network.cells import CELLS
from eie.network.operators.linear import Matrix

STEPS = Steps(30, 30)


def some_gates(kind, rng, hidden, columns):
    gates = CELLS[kind].gates
    sizes = [sum(columns if name == "x" else hidden for name in gate.operands) for gate in gates]
    return [
        Matrix((rng.standard_normal((hidden, n)) / n**0.5).astype(np.float32), np.zeros(hidden, np.float32))
        for n in sizes
    ]


def some_sequences(kind, rng, gates, hidden, columns, batch, length):
    x = rng.standard_normal((batch, length, columns)).astype(np.float32)
    states = np.zeros((batch, len(CELLS[kind].states), hidden), np.float32)
    given = Unrolled(CELLS[kind], [gate.weight for gate in gates], [gate.bias for gate in gates])
    return Sequences(x, states, given.forward(x, states)[:, :, 0])


def by_size(gate, keep):
    """Return a gate's largest weights, in one shared value for each sign."""
    mask = np.zeros(gate.weight.size, bool)
    mask[np.argsort(-np.abs(gate.weight).ravel())[:keep]] = True
    mask = mask.reshape(gate.weight.shape)
    codes = np.where(mask, np.where(gate.weight < 0, 1, 2), 0).astype(np.uint8)
    size = np.abs(gate.weight[mask]).mean() if keep else 0.0
    book = np.zeros((1, 16))
    book[0, 1:3] = -size, size
    return Compensated(gate.weight * mask, gate.bias, mask, codes, book, gate.bias)


def held_back(sequences):
    return sequences.some(np.arange(min(7, len(sequences) - 1), len(sequences), 8))


@settings(max_examples=15, deadline=None)
@given(
    kind=st.sampled_from(["lstm", "gru", "gru, reset before"]),
    seed=st.integers(0, 1 << 30),
    hidden=st.integers(1, 6),
    columns=st.integers(1, 5),
    batch=st.integers(2, 10),
    length=st.integers(1, 6),
    density=st.floats(0, 1),
    terms=st.sampled_from([1, 2]),
    free=st.booleans(),
    row_scales=st.booleans(),
)
def test_it_keeps_as_many_weights_and_is_no_worse_on_what_it_has_not_learnt(
    kind, seed, hidden, columns, batch, length, density, terms, free, row_scales
):
    rng, cell = np.random.default_rng(seed), CELLS[kind]
    gates = some_gates(kind, rng, hidden, columns)
    sequences = some_sequences(kind, rng, gates, hidden, columns, batch, length)
    counts = [round(density * gate.weight.size) for gate in gates]
    start = [by_size(gate, count) for gate, count in zip(gates, counts, strict=True)]
    options = {"free": free, "row_scales": row_scales, "steps": Steps(8, 8)}
    found = refit(cell, sequences, gates, start, counts, [terms] * len(gates), **options)
    kept = [int(np.count_nonzero(gate.codes)) for gate in found]
    assert all(np.array_equal(gate.codes > 0, gate.mask) for gate in found)
    assert kept == counts if not free else sum(kept) == sum(counts)
    assert all(len(np.unique(gate.codes[gate.codes > 0])) <= (15 if terms == 1 else 255) for gate in found)
    assert error(cell, held_back(sequences), found) <= error(cell, held_back(sequences), start)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_it_halves_the_error_of_the_largest_weights_alone(kind):
    rng, cell = np.random.default_rng(0), CELLS[kind]
    gates = some_gates(kind, rng, 12, 8)
    sequences = some_sequences(kind, rng, gates, 12, 8, 48, 10)
    counts = [gate.weight.size // 2 for gate in gates]
    start = [by_size(gate, count) for gate, count in zip(gates, counts, strict=True)]
    found = refit(cell, sequences, gates, start, counts, [1] * len(gates), steps=Steps(150, 100))
    new = some_sequences(kind, np.random.default_rng(1), gates, 12, 8, 32, 10)
    assert error(cell, new, found) < 0.5 * error(cell, new, start)


def test_zeros_of_the_given_network_stay_zeros():
    rng = np.random.default_rng(0)
    gates = some_gates("lstm", rng, 6, 4)
    for gate in gates:
        gate.weight[rng.random(gate.weight.shape) < 0.3] = 0
    sequences = some_sequences("lstm", rng, gates, 6, 4, 10, 8)
    counts = [np.count_nonzero(gate.weight) for gate in gates]
    start = [by_size(gate, count) for gate, count in zip(gates, counts, strict=True)]
    found = refit(CELLS["lstm"], sequences, gates, start, counts, [1] * 4, steps=STEPS)
    assert found[0] is not start[0]
    assert all(np.array_equal(new.codes > 0, old.weight != 0) for new, old in zip(found, gates, strict=True))


def test_where_floats_overflow_the_weights_stay_as_they_were():
    rng = np.random.default_rng(0)
    gates = some_gates("gru", rng, 4, 3)
    sequences = some_sequences("gru", rng, gates, 4, 3, 4, 4)
    sequences.x[0, 0, 0] = np.inf
    start = [by_size(gate, 5) for gate in gates]
    with np.errstate(all="ignore"):
        found = refit(CELLS["gru"], sequences, gates, start, [5] * 4, [1] * 4, steps=STEPS)
    assert all(a is b for a, b in zip(found, start, strict=True))


# Of layers and graphs.


def layer(kind=eie.LSTM, columns=6, hidden=10):
    rng = np.random.default_rng(3)
    gates = 4 if kind is eie.LSTM else 3
    w, r = (0.6 * rng.standard_normal((gates * hidden, size)).astype(np.float32) for size in (columns, hidden))
    return kind(w, r, 0.1 * rng.standard_normal(gates * hidden).astype(np.float32))


def loss(network, model, x):
    exact = eie.compress(network, 1.0, x, terms=2, refit=False)
    want, got = (
        eie.reference(m, quantise(x, m.input_fraction_bits)) / 2.0**m.output_fraction_bits for m in (exact, model)
    )
    return float(np.square(got - want).sum() / np.square(want).sum())


@pytest.mark.parametrize("kind, most", [(eie.LSTM, 0.95), (eie.GRU, 1.03)])
def test_layers_are_refitted_by_default_and_alike_every_time(kind, most):
    rng, network, told = np.random.default_rng(0), layer(kind), []
    x = rng.standard_normal((96, 12, 6)).astype(np.float32)
    without = eie.compress(network, 0.4, x, refit=False)
    model = eie.compress(network, 0.4, x, progress=lambda i, stage: told.append(stage))
    assert told.count("refit") == 1 and model.metadata["compression"]["refit"] is True
    assert model == eie.compress(network, 0.4, x, refit=True)
    new = rng.standard_normal((400, 12, 6)).astype(np.float32)
    assert loss(network, model, new) < most * loss(network, without, new)
    kept = [sum(np.count_nonzero(gate.dense_integers()) for gate in m.layers) for m in (model, without)]
    assert abs(kept[0] - kept[1]) <= 0.02 * kept[1]


def test_a_target_is_searched_without_it():
    x = np.random.default_rng(0).standard_normal((10, 6, 6)).astype(np.float32)
    assert eie.compress(layer(), calibration=x, target_sqnr=8).metadata["compression"]["refit"] is False


@pytest.mark.parametrize(
    "options, message", [({"refit": 1}, "refit is 1"), ({"refit": True, "method": "magnitude"}, "compensated")]
)
def test_what_it_cannot_be_is_named(options, message):
    with pytest.raises(NetworkError, match=message):
        eie.compress(layer(), 0.5, np.ones((2, 3, 6), np.float32), **options)
