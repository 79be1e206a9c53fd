"""Random numbers that published figures may depend on: the same with every release of numpy and on every processor.

The streams of `np.random.default_rng` may change with numpy's releases, and did with 2.5. Those of `RandomState`, which
is the Mersenne Twister MT19937, are frozen for good (NEP 19: "guaranteed to be reproducible").
"""

from __future__ import annotations

import numpy as np

from eie.errors import ConfigError


def frozen_random(seed: int) -> np.random.RandomState:
    """Return the generator of a seed.

    For the same integers on 32-bit processors, give `randint` a type: its own is C's long.

    Raises
    ------
    ConfigError
        If the seed is not one of MT19937, 0 to 2**32 - 1.
    """
    if not 0 <= seed < 1 << 32:
        raise ConfigError(f"seed is {seed}; it must lie in 0..{(1 << 32) - 1}")
    return np.random.RandomState(seed)
