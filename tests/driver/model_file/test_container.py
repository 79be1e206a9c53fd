"""The model file: an exact round trip, and one clear error for anything that is not such a file."""

import itertools
import json
import os
import struct
import tracemalloc
import zlib
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eie
from eie import Layer, Model
from eie.errors import LayerError, ModelFileError
from eie.model_file import layer_record
from eie.model_file.container import describe, load, save
from eie.model_file.fields import Writer
from eie.model_file.layer_record import LayerRecord
from eie.network.limits import ALL_LINES_LIMIT, METADATA_LIMIT
from tests.strategies import models

PREFIX = struct.Struct("<4sBII")


def random_layer(rng, rows, columns, density, last_code=15, bias_bits=20, **scales) -> Layer:
    codes = rng.integers(1, last_code + 1, (rows, columns)) * (rng.random((rows, columns)) < density)
    codebook = np.concatenate([[0], np.sort(rng.integers(-30_000, 30_000, last_code)), np.zeros(15 - last_code, int)])
    bias = rng.integers(-(1 << bias_bits), 1 << bias_bits, rows) << int(rng.integers(0, 31 - bias_bits))
    return Layer.from_dense_codes(codes, codebook, bias, **scales)


def random_model(seed=0, sizes=(12, 9, 5), density=0.3) -> Model:
    rng = np.random.default_rng(seed)
    layers = [
        random_layer(rng, rows, columns, density, shift=8, relu=True, name=f"fc{rows}")
        for columns, rows in itertools.pairwise(sizes)
    ]
    return Model(layers, "a model", {"accuracy": 0.98, "recipe": ["prune", "share"], "ä": None})


def assert_equal(first: Model, second: Model) -> None:
    assert (first.name, first.metadata, len(first.layers)) == (second.name, second.metadata, len(second.layers))
    for a, b in zip(first.layers, second.layers, strict=True):
        for field in fields(Layer):
            left, right = getattr(a, field.name), getattr(b, field.name)
            assert type(left) is type(right) and np.array_equal(left, right), field.name
            assert getattr(left, "dtype", None) == getattr(right, "dtype", None), field.name


def forge(path, body: bytes, magic=b"\x89EIE", version=1) -> None:
    """Write a body with a valid prefix: what only somebody who means it can do."""
    path.write_bytes(PREFIX.pack(magic, version, zlib.crc32(body), len(body)) + body)


def forged_model(record: bytes, layers=1, metadata=b"{}") -> bytes:
    body = Writer()
    body.text("name", "forged")
    body.section(zlib.compress(metadata, 9)[2:-4])
    body.number("layers", layers, 1 << 40)
    body.number("plain bytes", 0, 1)
    body.section(record)
    return bytes(body.data)


def record_of(layer: Layer, huffman=True, **changes) -> bytes:
    record = LayerRecord.encode(layer, huffman)
    record.sections.update(changes.pop("sections", {}))
    for name, value in changes.items():
        setattr(record, name, value)
    return record.to_bytes()


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


@pytest.mark.parametrize("version", [0, 5, 255])
def test_other_versions_are_named(tmp_path, version):
    forge(tmp_path / "x.eie", b"", version=version)
    with pytest.raises(ModelFileError, match=f"version {version}.*reads versions 1 to 4"):
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


def small_layer() -> Layer:
    return random_layer(np.random.default_rng(4), 6, 5, 0.5)


HOSTILE_RECORDS = {
    "nonzeros": lambda: record_of(small_layer(), nonzeros=1 << 28),
    "indices": lambda: record_of(small_layer(), sections={"positions": b"\xff\xff\xff\xff\x03\x04\x01\xff"}),
    "huffman bomb": lambda: record_of(
        small_layer(), sections={"positions": b"\xff\xff\xff\x7f\x08\x00" + zlib.compress(bytes(50_000_000), 9)[2:-4]}
    ),
    "empty lines": lambda: record_of(small_layer(), sections={"empty": b"\x01\x01\x01\x01\x00"}),
    "codebook": lambda: record_of(small_layer(), sections={"codebook": bytes(32)}),
    "bias planes": lambda: record_of(small_layer(), sections={"bias": b"\x00" + 9 * b"\x07\x08123456"}),
    "bias shift": lambda: record_of(small_layer(), sections={"bias": b"\x21"}),
    "codes": lambda: record_of(small_layer(), sections={"codes": b""}),
    "nothing": lambda: b"",
}


@pytest.mark.parametrize("case", HOSTILE_RECORDS)
def test_hostile_header_under_a_valid_checksum_is_refused_without_memory(tmp_path, case):
    path = tmp_path / "x.eie"
    forge(path, forged_model(HOSTILE_RECORDS[case]()))
    size = path.stat().st_size
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError):
            load(path)
        assert tracemalloc.get_traced_memory()[1] < 80_000_000 + 100 * size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "changes", [{"rows": 1 << 20, "sections": {"bias": b"\0"}}, {"columns": 1 << 20, "width": 1 << 20}]
)
def test_declared_lines_take_bounded_memory(tmp_path, changes):
    layer = Layer.from_dense_codes(np.zeros((3, 4)), np.arange(16))
    forge(tmp_path / "x.eie", forged_model(record_of(layer, **changes)))
    tracemalloc.start()
    try:
        assert max(load(tmp_path / "x.eie").rows, load(tmp_path / "x.eie").columns) == 1 << 20
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()


def test_many_hostile_layers_cannot_add_up(tmp_path):
    body = Writer()
    body.text("name", "forged")
    body.section(zlib.compress(b"{}", 9)[2:-4])
    body.number("layers", 1000, 1000)
    record = record_of(small_layer(), rows=1 << 20, columns=1 << 20)
    for _ in range(1000):
        body.number("plain bytes", 0, 1)
        body.section(record)
    forge(tmp_path / "x.eie", bytes(body.data))
    with pytest.raises(ModelFileError, match=f"limit is {ALL_LINES_LIMIT}"):
        load(tmp_path / "x.eie")


@pytest.mark.parametrize(
    "metadata",
    [b"[]", b"{", b"\xff", b"{}x", json.dumps({"x": "y" * METADATA_LIMIT}).encode(), b'{"a":' + b"[" * 60_000],
    ids=["list", "open", "utf-8", "trailing", "large", "deep"],
)
def test_hostile_metadata_is_refused(tmp_path, metadata):
    forge(tmp_path / "x.eie", forged_model(record_of(small_layer()), metadata=metadata))
    with pytest.raises(ModelFileError):
        load(tmp_path / "x.eie")


@pytest.mark.parametrize(
    "metadata",
    [{"a": (1, 2)}, {1: 2}, {"a": float("nan")}, {"a": {1, 2}}, {"a": "x" * METADATA_LIMIT}, {"a": "\ud800"}, [1]],
    ids=["tuple", "key", "nan", "set", "large", "surrogate", "list"],
)
def test_metadata_that_a_file_cannot_hold_are_refused_when_the_model_is_made(tmp_path, metadata):
    with pytest.raises(LayerError, match="metadata"):
        Model(random_model().layers, metadata=metadata)
    if isinstance(metadata, dict):
        changed = random_model()
        changed.metadata.update(metadata)
        with pytest.raises(ModelFileError, match="metadata"):
            save(changed, tmp_path / "x.eie")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x" * 300, "ä" * 128, "\ud800", 5, None])
def test_names_that_a_file_cannot_hold_are_refused_when_the_model_is_made(name):
    layer = random_model().layers[0]
    for make in (lambda: Model([layer], name), lambda: replace(layer, name=name)):
        with pytest.raises(LayerError, match="name"):
            make()


@pytest.mark.parametrize("field", ["input_fraction_bits", "output_fraction_bits", "weight_fraction_bits"])
@pytest.mark.parametrize("bits", [-1100, 193, 5000, -193])
def test_fraction_bits_that_no_float_has_are_refused_in_a_model_and_in_a_file(tmp_path, field, bits):
    layer = random_model().layers[0]
    with pytest.raises(LayerError, match=field):
        replace(layer, **{field: bits})
    record = LayerRecord.encode(layer, True)
    limits = layer_record._LIMITS
    number = bits << 1 if bits >= 0 else (-bits << 1) - 1
    body = Writer()
    body.text("layer name", record.name)
    for name, limit in limits.items():
        body.number(name, number if name == field else _header_number(record, name), max(limit, 1 << 14))
    for section in record.sections.values():
        body.section(section)
    forge(tmp_path / "x.eie", forged_model(bytes(body.data)))
    with pytest.raises(ModelFileError, match=field):
        load(tmp_path / "x.eie")


def _header_number(record: LayerRecord, name: str) -> int:
    value = getattr(record, name)
    return layer_record.zigzag(value) if name in layer_record._SIGNED else value


def test_the_reader_refuses_what_the_writer_refuses(tmp_path):
    def read(name=b"forged", metadata=b"{}"):
        body = Writer()
        body.section(name)
        body.section(zlib.compress(metadata, 9)[2:-4])
        body.number("layers", 1, 1)
        body.number("plain bytes", 0, 1)
        body.section(record_of(small_layer()))
        forge(tmp_path / "x.eie", bytes(body.data))
        return [read(tmp_path / "x.eie") for read in (load, describe)]

    assert read()[0].name == "forged"
    for bad in ({"name": b"n" * 256}, {"name": b"\xff"}, {"metadata": b'{"a": NaN}'}, {"metadata": b'{"a": 1e999}'}):
        with pytest.raises(ModelFileError):
            read(**bad)
    with pytest.raises(ModelFileError, match="surrogates"):
        read(metadata=rb'{"a": "\ud800"}')


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


def test_a_second_term_of_another_shape_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    layer = replace(random_layer(rng, 6, 5, 0.5), second=eie.Term.from_dense_codes(np.ones((6, 5)), np.arange(16)))
    record = LayerRecord.encode(layer, True)
    record.sections["second"] = LayerRecord.encode(random_layer(rng, 5, 6, 0.5), True).to_bytes()
    forge(tmp_path / "x.eie", forged_model(record.to_bytes(4)) + b"\x00", version=4)
    with pytest.raises(ModelFileError, match="second term has 5 rows and 6 columns"):
        load(tmp_path / "x.eie")
