"""Gradients of recurrent cells through time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eie.compression.through_time import Unrolled
from eie.network.cells import CELLS, STATE_BITS
from eie.network.operators.gates import float_sequence
from eie.network.operators.linear import FloatProduct, Matrix

KINDS = pytest.mark.parametrize("kind", CELLS)


def some_cell(kind, rng, hidden, columns):
    """Return the weights and the biases of a cell's gates."""
    gates = CELLS[kind].gates
    sizes = [sum(columns if name == "x" else hidden for name in gate.operands) for gate in gates]
    return [rng.standard_normal((hidden, size)) for size in sizes], [rng.standard_normal(hidden) for _ in gates]


def some_sequences(kind, rng, hidden, columns, batch, length):
    return rng.standard_normal((batch, length, columns)), rng.standard_normal((batch, len(CELLS[kind].states), hidden))


SHAPES = {"hidden": st.integers(1, 4), "columns": st.integers(1, 4), "batch": st.integers(1, 3)}


@KINDS
@settings(max_examples=10)
@given(seed=st.integers(0, 1 << 30), length=st.integers(1, 5), **SHAPES)
def test_states_are_those_of_the_given_network(kind, seed, length, hidden, columns, batch):
    rng = np.random.default_rng(seed)
    weights, biases = some_cell(kind, rng, hidden, columns)
    x, states = some_sequences(kind, rng, hidden, columns, batch, length)
    products = [FloatProduct(Matrix(weight, bias)) for weight, bias in zip(weights, biases, strict=True)]
    want = float_sequence(x, states, {"cell": kind, "input_bits": STATE_BITS}, products, 0)
    assert np.allclose(Unrolled(CELLS[kind], weights, biases).forward(x, states), want, atol=1e-12)


@KINDS
@settings(max_examples=10)
@given(seed=st.integers(0, 1 << 30), length=st.integers(1, 5), **SHAPES)
def test_gradients_are_those_of_finite_differences(kind, seed, length, hidden, columns, batch):
    rng = np.random.default_rng(seed)
    weights, biases = some_cell(kind, rng, hidden, columns)
    x, states = some_sequences(kind, rng, hidden, columns, batch, length)
    probe = rng.standard_normal((batch, length, states.shape[1], hidden))
    directions = [rng.standard_normal(array.shape) for array in (*weights, *biases)]

    def loss(step):
        moved = [a + step * d for a, d in zip((*weights, *biases), directions, strict=True)]
        unrolled = Unrolled(CELLS[kind], moved[: len(weights)], moved[len(weights) :])
        return float(np.sum(unrolled.forward(x, states) * probe))

    unrolled = Unrolled(CELLS[kind], weights, biases)
    unrolled.forward(x, states)
    of_weights, of_biases = unrolled.backward(probe)
    got = sum(float(np.sum(g * d)) for g, d in zip((*of_weights, *of_biases), directions, strict=True))
    want = (loss(1e-5) - loss(-1e-5)) / 2e-5
    assert got == pytest.approx(want, rel=1e-5, abs=1e-6)


def test_squares_of_operands_are_summed_over_time_and_batch():
    rng = np.random.default_rng(0)
    weights, biases = some_cell("gru", rng, 3, 2)
    x, states = some_sequences("gru", rng, 3, 2, 4, 5)
    unrolled = Unrolled(CELLS["gru"], weights, biases)
    hidden = unrolled.forward(x, states)[:, :, 0]
    before = np.concatenate([states[:, :1], hidden[:, :-1]], axis=1)
    of_x, of_h = (np.square(seen).sum(axis=(0, 1)) for seen in (x, before))
    r, z, n, m = unrolled.operand_squares()
    assert np.allclose(r, np.concatenate([of_h, of_x])) and np.allclose(z, r)
    assert np.allclose(n, of_x) and np.allclose(m, of_h)
