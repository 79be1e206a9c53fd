import numpy as np
import pytest

from eie.paper import BENCHMARKS, CLOCK_MHZ


@pytest.mark.parametrize("benchmark", [b for b in BENCHMARKS if b.columns * b.rows < 6e6], ids=lambda b: b.name)
def test_a_random_layer_has_the_densities_of_the_table(benchmark):
    layer, activations = benchmark.random_layer(seed=3)
    assert (layer.rows, layer.columns) == (benchmark.rows, benchmark.columns)
    assert layer.density == pytest.approx(benchmark.weight_density, rel=0.01)
    assert np.count_nonzero(activations) == round(layer.columns * benchmark.activation_density)
    again, same = benchmark.random_layer(seed=3)
    assert np.array_equal(again.row_indices, layer.row_indices) and np.array_equal(activations, same)


def test_there_are_nine_and_none_is_faster_than_in_theory():
    assert len({b.name for b in BENCHMARKS}) == 9
    assert all(b.actual_us > b.theoretical_us for b in BENCHMARKS)


def test_the_papers_utilisation_follows_from_its_tables():
    alex6 = BENCHMARKS[0]
    products = 9216 * 4096 * 0.09 * 0.351
    assert alex6.products == pytest.approx(products)
    assert alex6.utilisation == pytest.approx(products / 64 / (30.3 * CLOCK_MHZ))
    assert [round(b.utilisation, 2) for b in BENCHMARKS[:2]] == [0.77, 0.85]
