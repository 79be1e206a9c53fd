"""The benchmarks of the paper: nine fully connected layers (Han et al., ISCA 2016, Tables III and IV)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eie.model import Layer

CLOCK_MHZ = 800
"""Clock of the paper's machine (section VI)."""


@dataclass(frozen=True)
class Benchmark:
    """A layer of Table III, and its times of Table IV.

    Parameters
    ----------
    name : str
    columns, rows : int
        Inputs, outputs.
    weight_density, activation_density : float
    theoretical_us, actual_us : float
        Microseconds on the paper's 64 PEs at 800 MHz.
    """

    name: str
    columns: int
    rows: int
    weight_density: float
    activation_density: float
    theoretical_us: float
    actual_us: float

    def random_layer(self, seed: int = 1) -> tuple[Layer, NDArray[np.int16]]:
        """Return a layer and a vector of activations with random non-zeros at the benchmark's densities."""
        rng = np.random.default_rng(seed)
        counts = rng.binomial(self.rows, self.weight_density, self.columns)
        starts = np.concatenate(([0], np.cumsum(counts)))
        rows = np.empty(starts[-1], np.int32)
        for column, count in enumerate(counts):
            chosen = rng.choice(self.rows, count, replace=False, shuffle=False)
            rows[starts[column] : starts[column + 1]] = np.sort(chosen)
        layer = Layer(
            rows=self.rows,
            columns=self.columns,
            column_starts=starts,
            row_indices=rows,
            codes=rng.integers(1, 16, len(rows), np.uint8),
            codebook=np.arange(16, dtype=np.int16),
            bias=np.zeros(self.rows, np.int64),
            shift=4,
            relu=False,
            name=self.name,
        )
        activations = rng.integers(1, 100, self.columns) * (rng.random(self.columns) < self.activation_density)
        return layer, activations.astype(np.int16)


BENCHMARKS = (
    Benchmark("Alex-6", 9216, 4096, 0.09, 0.351, 28.1, 30.3),
    Benchmark("Alex-7", 4096, 4096, 0.09, 0.353, 11.7, 12.2),
    Benchmark("Alex-8", 4096, 1000, 0.25, 0.375, 8.9, 9.9),
    Benchmark("VGG-6", 25088, 4096, 0.04, 0.183, 28.1, 34.4),
    Benchmark("VGG-7", 4096, 4096, 0.04, 0.375, 7.9, 8.7),
    Benchmark("VGG-8", 4096, 1000, 0.23, 0.411, 7.3, 8.4),
    Benchmark("NT-We", 4096, 600, 0.10, 1.0, 5.2, 8.0),
    Benchmark("NT-Wd", 600, 8791, 0.11, 1.0, 13.0, 13.9),
    Benchmark("NT-LSTM", 1201, 2400, 0.10, 1.0, 6.5, 7.5),
)
