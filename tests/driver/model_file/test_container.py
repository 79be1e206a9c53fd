"""The model file: an exact round trip, and one clear error for anything that is not such a file."""

import os
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eie
from eie import Layer, Model
from eie.errors import ModelFileError
from eie.model_file.container import VERSION, describe, load, save
from eie.model_file.layer_record import LayerRecord
from tests.driver.model_file.forging import PREFIX, assert_equal, forge, random_layer, random_model
from tests.strategies import models


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    rows=st.integers(1, 40),
    columns=st.sampled_from([1, 2, 3, 7, 16, 25, 64, 100]),
    density=st.sampled_from([0.0, 0.02, 0.3, 1.0]),
    last_code=st.integers(1, 15),
    bias_bits=st.sampled_from([0, 1, 8, 17, 30]),
    scales=st.tuples(*[st.integers(-20, 40)] * 3),
    huffman=st.booleans(),
)
def test_round_trip_is_exact(tmp_path_factory, seed, rows, columns, density, last_code, bias_bits, scales, huffman):
    names = ("input_fraction_bits", "output_fraction_bits", "weight_fraction_bits")
    rng = np.random.default_rng(seed)
    layer = random_layer(
        rng, rows, columns, density, last_code, bias_bits, shift=5, **dict(zip(names, scales, strict=True))
    )
    model = Model([layer], f"model {seed}", {"seed": seed})
    path = tmp_path_factory.mktemp("file") / "x.eie"
    assert save(model, path, huffman) == path.stat().st_size
    assert_equal(load(path), model)


@pytest.mark.parametrize("huffman", [False, True])
def test_extreme_biases_are_exact(tmp_path, huffman):
    bias = np.array([-(2**31), 2**31 - 1, 0, -1, 1])
    model = Model([Layer.from_dense_codes(np.ones((5, 3)), np.arange(16), bias)])
    save(model, tmp_path / "x.eie", huffman)
    assert_equal(load(tmp_path / "x.eie"), model)


def test_biases_with_a_common_power_of_two_take_few_bytes(tmp_path):
    rng = np.random.default_rng(0)
    bias = rng.integers(-60, 60, 300)
    sizes = []
    for shift in (0, 20):
        layer = Layer.from_dense_codes(np.ones((300, 2)), np.arange(16), bias << shift)
        save(Model([layer]), tmp_path / "x.eie")
        sizes.append(describe(tmp_path / "x.eie")["layers"][0]["sections"]["bias"])
    assert sizes[0] == sizes[1] <= 300


def clustered_codes(rng, rows=120, side=28, density=0.05) -> np.ndarray:
    """Codes as training leaves them: in spots of a picture, signs alike within a spot, nothing at its border."""
    codes = np.zeros((rows, side, side), np.uint8)
    for picture in codes:
        for _ in range(int(density * side * side / 4)):
            y, x = np.clip(rng.normal(side / 2, side / 6, 2), 3, side - 5).astype(int)
            y -= y % 2
            sign = 8 * int(rng.random() < 0.5)
            picture[y : y + 2, x : x + 2] = 1 + np.clip(np.rint(rng.normal(3, 1.5, (2, 2))), 0, 6) + sign
    return codes.reshape(rows, side * side)


def test_layout_of_pictures_is_exact_and_smaller_than_the_plain_one(tmp_path):
    rng = np.random.default_rng(1)
    codebook = np.concatenate([[0], np.arange(-7, 0), [-1], np.arange(1, 8)])
    model = Model([Layer.from_dense_codes(clustered_codes(rng), codebook)])
    plain, small = save(model, tmp_path / "p.eie", huffman=False), save(model, tmp_path / "h.eie")
    assert_equal(load(tmp_path / "p.eie"), model)
    assert_equal(load(tmp_path / "h.eie"), model)
    layer = describe(tmp_path / "h.eie")["layers"][0]
    assert (layer["by_row"], layer["width"], layer["informed"]) == (1, 28, 1)
    assert small < 0.75 * plain


def test_description_gives_both_sizes_and_every_section(tmp_path):
    model = random_model(sizes=(60, 50, 40))
    plain, small = save(model, tmp_path / "p.eie", huffman=False), save(model, tmp_path / "h.eie")
    description = describe(tmp_path / "h.eie")
    assert description["bytes"] == small < description["plain_bytes"]
    assert abs(description["plain_bytes"] - plain) <= 4 * len(model.layers)
    assert describe(tmp_path / "p.eie")["plain_bytes"] == plain
    assert description["float32_bytes"] == 4 * (60 * 50 + 50 * 40)
    assert description["metadata"] == model.metadata
    for layer, told in zip(model.layers, description["layers"], strict=True):
        assert (told["rows"], told["columns"], told["nonzeros"]) == (layer.rows, layer.columns, layer.nonzeros)
        assert 0 < told["bytes"] - sum(told["sections"].values()) < 40


@pytest.mark.parametrize("huffman", [False, True])
def test_every_flipped_bit_and_every_truncation_is_refused(tmp_path, huffman):
    path = tmp_path / "x.eie"
    save(random_model(), path, huffman)
    good = path.read_bytes()
    damaged = [good[:length] for length in range(len(good))] + [good + b"\0"]
    for at in range(len(good)):
        damaged += [good[:at] + bytes([good[at] ^ flip]) + good[at + 1 :] for flip in (1, 2, 16, 128, 255)]
    for data in damaged:
        path.write_bytes(data)
        for read in (load, describe):
            with pytest.raises(ModelFileError):
                read(path)


def test_random_damage_to_a_large_file_is_refused(tmp_path):
    rng = np.random.default_rng(2)
    path = tmp_path / "x.eie"
    save(random_model(sizes=(400, 300, 100), density=0.1), path)
    good = path.read_bytes()
    for _ in range(200):
        data = bytearray(good)
        for at in rng.integers(0, len(good), int(rng.integers(1, 20))):
            data[at] ^= 1 << int(rng.integers(0, 8))
        path.write_bytes(data if bytes(data) != good else b"")
        with pytest.raises(ModelFileError):
            load(path)


def test_damage_under_a_forged_checksum_never_raises_another_error(tmp_path):
    rng = np.random.default_rng(3)
    path = tmp_path / "x.eie"
    save(random_model(), path)
    good = path.read_bytes()[PREFIX.size :]
    for at in range(len(good)):
        for value in (0, 255, good[at] ^ 1, int(rng.integers(0, 256))):
            forge(path, good[:at] + bytes([value]) + good[at + 1 :])
            for read in (load, describe):
                try:
                    read(path)
                except ModelFileError as error:
                    assert str(path) in str(error)


def test_swapped_layers_are_refused(tmp_path):
    path = tmp_path / "x.eie"
    model = random_model(sizes=(12, 9, 5))
    save(model, path)
    data = path.read_bytes()
    first, second = (LayerRecord.encode(layer, True).to_bytes() for layer in model.layers)
    at, then = data.index(first), data.index(second)
    swapped = data[:at] + second + data[at + len(first) : then] + first + data[then + len(second) :]
    assert len(swapped) == len(data)
    path.write_bytes(swapped)
    with pytest.raises(ModelFileError):
        load(path)


@pytest.mark.parametrize("version", [0, VERSION + 1, 255])
def test_other_versions_are_named(tmp_path, version):
    forge(tmp_path / "x.eie", b"", version=version)
    with pytest.raises(ModelFileError, match=f"version {version}.*reads versions 1 to {VERSION}"):
        load(tmp_path / "x.eie")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip", b"\x89PNG\r\n\x1a\n 0123456789", b"E"], ids=len)
def test_other_files_are_refused_by_name(tmp_path, content):
    (tmp_path / "x.eie").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"x\.eie: not an EIE model"):
        load(tmp_path / "x.eie")


def test_missing_file_directory_and_pipe_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "missing.eie", tmp_path, tmp_path / "pipe"):
        with pytest.raises(ModelFileError, match=path.name):
            load(path)


def test_a_model_of_many_layers_can_be_saved(tmp_path):
    rng = np.random.default_rng(0)
    network = [eie.Dense(rng.normal(size=(8, 8)) / 3, name=f"layer number {i}") for i in range(400)]
    model = eie.compress(network, 1.0, sharing="linear")
    save(model, tmp_path / "x.eie")
    assert eie.load(tmp_path / "x.eie") == model


@pytest.mark.parametrize("scale", [1e30, 1e36, 1e-30, 1e-36])
def test_what_compress_makes_of_weights_of_any_size_can_be_saved(tmp_path, scale):
    weight = np.random.default_rng(0).normal(size=(8, 10))
    model = eie.compress([eie.Dense(weight * scale)], 1.0, sharing="linear")
    save(model, tmp_path / "x.eie")
    assert eie.load(tmp_path / "x.eie") == model
    x = np.random.default_rng(1).normal(size=(5, 10)).astype(np.float32)
    with eie.Accelerator("emulated") as acc:
        acc.load(model)
        y = acc.run(x).astype(np.float64)
    right = x.astype(np.float64) @ (weight * scale).astype(np.float32).astype(np.float64).T
    assert np.abs(y - right).max() < 0.2 * np.abs(right).max()


def test_a_file_of_dense_layers_takes_memory_in_proportion_to_its_size(tmp_path):
    path = tmp_path / "x.eie"
    for shape in ((1500, 1600), (1600, 1600)):
        save(Model([Layer.from_dense_codes(np.ones(shape, np.uint8), np.arange(16))]), path)
        tracemalloc.start()
        try:
            assert load(path).layers[0].nonzeros == shape[0] * shape[1]
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 2_000_000 + 120 * path.stat().st_size


def test_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "x.eie"
    save(random_model(), path)
    before = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(ModelFileError, match="No space left"):
        save(random_model(seed=9), path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_unwritable_place_is_a_clear_error(tmp_path):
    with pytest.raises(ModelFileError, match="there is no folder"):
        save(random_model(), tmp_path / "missing" / "x.eie")


def test_same_model_gives_the_same_bytes(tmp_path):
    save(random_model(), tmp_path / "a.eie")
    save(load(tmp_path / "a.eie"), tmp_path / "b.eie")
    assert (tmp_path / "a.eie").read_bytes() == (tmp_path / "b.eie").read_bytes()


@settings(max_examples=60, deadline=None)
@given(models(max_layers=2, max_size=20), st.booleans())
def test_round_trip_of_any_layers_is_exact(tmp_path_factory, model, huffman):
    path = tmp_path_factory.mktemp("file") / "x.eie"
    assert save(model, path, huffman) == path.stat().st_size
    assert_equal(load(path), model)
    wanted = (
        4 if any(layer.second for layer in model.layers) else 3 if any(layer.scaling for layer in model.layers) else 1
    )
    assert describe(path)["version"] == wanted
