"""The paper's benchmarks: shapes and densities as stated, the same layer for the same seed."""

import numpy as np
import pytest
from eie.paper import BENCHMARKS


@pytest.mark.parametrize("benchmark", [b for b in BENCHMARKS if b.columns * b.rows < 6e6], ids=lambda b: b.name)
def test_a_random_layer_has_the_densities_of_the_table(benchmark):
    layer, activations = benchmark.random_layer(seed=3)
    assert (layer.rows, layer.columns) == (benchmark.rows, benchmark.columns)
    assert layer.density == pytest.approx(benchmark.weight_density, rel=0.01)
    assert np.count_nonzero(activations) / layer.columns == pytest.approx(benchmark.activation_density, abs=0.001)
    again, _ = benchmark.random_layer(seed=3)
    assert np.array_equal(again.row_indices, layer.row_indices)


def test_there_are_nine_and_none_is_faster_than_in_theory():
    assert len({b.name for b in BENCHMARKS}) == 9
    assert all(b.actual_us > b.theoretical_us for b in BENCHMARKS)
