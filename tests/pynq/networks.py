"""A small array, networks and inputs for it."""

import numpy as np

import eie

CONFIG = eie.ArrayConfig(num_pes=4, entries=512, pointers=256, rows=16, activations=512)


def layer(rows, columns, density=0.2, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(1, 16, (rows, columns)) * (rng.random((rows, columns)) < density)
    return eie.Layer.from_dense_codes(codes, np.r_[0, rng.integers(-999, 999, 15)], shift=6, relu=True)


def model(seed=0, size=40):
    return eie.Model([layer(size, size, seed=seed), layer(10, size, seed=seed + 1)], name=f"model {seed}")


def streamed_model(seed=0):
    """A network too large to stay on the small array."""
    return eie.Model([layer(200, 300, 0.3, seed)], name="streamed")


def recurrent_model(network=eie.LSTM, columns=12, hidden=20, sequences=2, steps=8):
    """A recurrent layer of two terms, and sequences for it."""
    rng = np.random.default_rng(0)
    blocks, bound = 4 if network is eie.LSTM else 3, min(0.25, hidden**-0.5)
    weights = [rng.uniform(-bound, bound, (blocks * hidden, size)) for size in (columns, hidden)]
    x = rng.standard_normal((sequences, steps, columns)).astype(np.float32)
    return eie.compress(network(*weights), 1.0, x, terms=2, sharing="linear"), x


def inputs(network, batch, seed=0):
    return np.random.default_rng(seed).integers(-999, 999, (batch, network.columns)).astype(np.int16)
