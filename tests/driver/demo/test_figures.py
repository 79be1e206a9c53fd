"""Figures: what is drawn is what the model and the counters hold."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

import eie
from eie import plots
from eie.demo import figures
from eie.errors import EieError, NetworkError


def network(*sizes, seed=0) -> list[eie.Dense]:
    rng = np.random.default_rng(seed)
    return [
        eie.Dense(rng.normal(size=(rows, columns)), None, "relu", f"fc{i}")
        for i, (columns, rows) in enumerate(itertools.pairwise(sizes))
    ]


def compressed(layers, density=0.2) -> eie.Model:
    return eie.compress(layers, density, sharing="linear")


def test_the_pattern_shows_every_weight_in_the_band_of_its_pe():
    model, config = compressed(network(50, 37)), eie.ArrayConfig(num_pes=8)
    pattern, bars = figures.sparsity_figure(model, config).axes[:2]
    (image,) = pattern.images
    drawn = (np.asarray(image.get_array()) < 1).any(axis=2)
    local_rows = 5  # ceil(37 / 8)
    assert drawn.shape == (8 * local_rows, 50)
    expected = np.zeros_like(drawn)
    for row, column in np.argwhere(model.layers[0].dense_codes()):
        expected[row % 8 * local_rows + row // 8, column] = True
    assert np.array_equal(drawn, expected)
    held = [np.count_nonzero(model.layers[0].dense_codes()[pe::8]) for pe in range(8)]
    assert [bar.get_width() for bar in bars.patches] == held
    assert tuple(image.get_extent()) == (0, 50, 8, 0)


def test_neighbouring_pes_have_different_colours():
    model = compressed(network(20, 16), density=1.0)
    image = figures.sparsity_figure(model, eie.ArrayConfig(num_pes=4)).axes[0].images[0].get_array()
    colours = [tuple(image[4 * pe, 0]) for pe in range(4)]
    assert colours[0] == colours[2] == pytest.approx(to_rgb(plots.BLUE))
    assert colours[1] == colours[3] == pytest.approx(to_rgb(plots.ORANGE))


def test_a_large_layer_is_drawn_as_density_in_few_cells():
    model = compressed(network(3000, 2000), density=0.05)
    axes = figures.sparsity_figure(model, eie.ArrayConfig(num_pes=16)).axes[0]
    image = np.asarray(axes.images[0].get_array())
    assert max(image.shape[:2]) <= 1200 and "darker: denser" in axes.get_title()
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 4  # shades, not two colours alone


def test_shared_weights_stand_at_their_values_with_their_counts():
    layers = network(60, 40, 10)
    model = compressed(layers, density=0.3)
    for axes, layer, dense in zip(figures.codebook_figure(model, layers).axes, model.layers, layers, strict=True):
        values, heights = next(line.get_data() for line in axes.lines if line.get_marker() == "o")
        codes = np.unique(layer.codes)
        assert np.allclose(values, layer.codebook[codes] / 2.0**layer.weight_fraction_bits)
        assert list(heights) == [np.count_nonzero(layer.codes == code) for code in codes]
        assert [text.get_text() for text in axes.texts] == [str(code) for code in codes]
        histogram = axes.patches[0].get_xy()
        kept = np.abs(dense.weight)[layer.dense_codes() != 0]
        assert np.abs(histogram[:, 0]).max() == pytest.approx(kept.max())


def test_a_network_shared_in_training_shows_its_few_values():
    dense = eie.Dense(np.where(np.arange(60).reshape(6, 10) % 3, 0.5, -0.25), None)
    axes = figures.codebook_figure(eie.compress(dense, None), [dense]).axes[0]
    bars = {round(bar.get_x() + bar.get_width() / 2, 3): bar.get_height() for bar in axes.patches}
    assert bars == {-0.25: 20, 0.5: 40}


def test_a_layer_without_weights_can_be_drawn(tmp_path):
    layers = [eie.Dense(np.zeros((5, 4)), np.ones(5), None, "empty")]
    model = eie.compress(layers, None)
    for figure in (figures.sparsity_figure(model, eie.ArrayConfig(num_pes=2)), figures.codebook_figure(model, layers)):
        assert all(path.stat().st_size > 1000 for path in plots.save_figure(figure, tmp_path / "empty"))
    plots.save_figure(figures.work_figure(np.zeros(2), np.zeros(2), 1), tmp_path / "idle")


def test_the_network_must_be_that_of_the_model():
    with pytest.raises(NetworkError, match="they are not those of model"):
        figures.codebook_figure(compressed(network(8, 6)), network(8, 7))


def test_work_is_shown_per_inference_with_padding_on_top():
    axes = figures.work_figure([30, 10, 20, 0], [0, 20, 0, 0], 10).axes[0]
    bars = [(bar.get_y(), bar.get_height()) for bar in axes.patches]
    assert bars == [(0, 3), (0, 1), (0, 2), (0, 0), (3, 0), (1, 2), (2, 0), (0, 0)]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert "mean 2.0; the busiest PE has 3.0 (mean / busiest = 67%)" in labels and "padding entries" in labels


def test_a_figure_is_saved_as_png_and_svg_the_same_each_time(tmp_path):
    def written(name):
        return [p.read_bytes() for p in plots.save_figure(figures.work_figure([3, 2], [0, 1], 1), tmp_path / name)]

    png, svg = written("work")
    assert png.startswith(b"\x89PNG") and b"<svg" in svg and b"entries worked off" in svg
    assert written("again") == [png, svg]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.png", "again.svg", "work.png", "work.svg"]


def test_a_figure_that_cannot_be_saved_is_a_clear_error(tmp_path):
    with pytest.raises(EieError, match="cannot be written"):
        plots.save_figure(figures.work_figure([1], [0], 1), tmp_path / "nowhere" / "work")


@pytest.mark.parametrize("figure", ["sparsity", "codebook", "work"])
def test_every_axis_is_labelled(figure):
    layers = network(12, 9, 5)
    model, config = compressed(layers, 0.5), eie.ArrayConfig(num_pes=4)
    drawn = {
        "sparsity": lambda: figures.sparsity_figure(model, config),
        "codebook": lambda: figures.codebook_figure(model, layers),
        "work": lambda: figures.work_figure([1, 2], [0, 0], 1),
    }[figure]()
    for axes in drawn.axes:
        assert axes.get_xlabel() or (figure == "codebook" and axes is not drawn.axes[-1])  # panels in one column
        assert axes.get_ylabel() or not axes.yaxis.get_tick_params().get("labelleft", True)
