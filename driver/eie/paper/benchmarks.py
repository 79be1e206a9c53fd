"""The benchmarks of the paper: nine fully connected layers (Han et al., ISCA 2016, Tables III and IV)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eie.data.frozen_random import frozen_random
from eie.network.model import Layer

CLOCK_MHZ = 800
"""Clock of the paper's machine (section VI)."""

PES = 64
"""Processing elements of the machine that the paper's times are of."""


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

    @property
    def products(self) -> float:
        """Products of non-zeros that the densities of Table III make."""
        return self.columns * self.rows * self.weight_density * self.activation_density

    @property
    def utilisation(self) -> float:
        """Products per PE and cycle of the paper's machine, from Tables III and IV."""
        return self.products / (PES * CLOCK_MHZ * self.actual_us)

    @property
    def theoretical_entries(self) -> float:
        """Entries, padding included, that the paper's theoretical time stands for."""
        return self.theoretical_us * PES * CLOCK_MHZ

    def random_layer(self, seed: int = 1) -> tuple[Layer, NDArray[np.int16]]:
        """Return a layer and a vector of activations with random non-zeros at the benchmark's densities."""
        return random_layer(self.name, self.rows, self.columns, self.weight_density, self.activation_density, seed)


def random_layer(
    name: str, rows: int, columns: int, weight_density: float, activation_density: float, seed: int = 1
) -> tuple[Layer, NDArray[np.int16]]:
    """Return a layer of random non-zero weights, each independent of the others, and a vector of activations.

    The vector has as many non-zeros as its density says, to the nearest: of one short vector the chance alone would
    move all times by a few percent.
    """
    rng = frozen_random(seed)
    by_column = [np.flatnonzero(rng.random_sample(rows) < weight_density) for _ in range(columns)]
    starts = np.concatenate(([0], np.cumsum([len(column) for column in by_column])))
    layer = Layer(
        rows=rows,
        columns=columns,
        column_starts=starts,
        row_indices=np.concatenate(by_column),
        codes=rng.randint(1, 16, size=starts[-1], dtype=np.uint8),
        codebook=np.arange(16, dtype=np.int16),
        bias=np.zeros(rows, np.int64),
        shift=4,
        relu=False,
        name=name,
    )
    activations = np.zeros(columns, np.int16)
    active = rng.permutation(columns)[: round(columns * activation_density)]
    activations[active] = rng.randint(1, 100, size=len(active), dtype=np.int16)
    return layer, activations


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
"""The paper's benchmarks: shapes and densities as stated, the same layer for the same seed."""

AUTHORS_ALEX_8 = Benchmark("Alex-8, the authors' vector", 4096, 1000, 0.2575, 0.429, 8.86, 9.91)
"""Alex-8 with the input that the authors measured it with: 42.9 % non-zeros, not Table III's 37.5 %. It makes 453,748
entries, and products are 1.003 times what the two densities make, so weights and activations are independent."""
