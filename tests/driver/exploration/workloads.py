"""What the tests explore."""

import numpy as np

import eie

SMALL = eie.ArrayConfig(num_pes=4, entries=64, pointers=64, rows=64, activations=512)
AXES = {"num_pes": "4:16", "queue_depth": "1:8", "index_bits": [3, 5], "skip_empty": "both"}


def network(seed=0, shapes=((48, 40), (24, 48))):
    rng = np.random.default_rng(seed)
    return eie.Model(
        [
            eie.Layer.from_dense_codes(
                rng.integers(1, 16, shape) * (rng.random(shape) < 0.2), np.r_[0, rng.integers(-99, 99, 15)], shift=4
            )
            for shape in shapes
        ],
        name="network",
    )
