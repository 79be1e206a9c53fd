"""Files with a valid checksum that no writer writes: refused, in little memory; limits are those of the writer."""

import json
import tracemalloc
import zlib
from dataclasses import replace

import numpy as np
import pytest

import eie
from eie import Layer, Model
from eie.errors import LayerError, ModelFileError
from eie.model_file import layer_record
from eie.model_file.container import describe, load, save
from eie.model_file.fields import Writer
from eie.model_file.layer_record import LayerRecord
from eie.network.limits import ALL_LINES_LIMIT, METADATA_LIMIT
from tests.driver.model_file.forging import (
    forge,
    forged_model,
    random_layer,
    random_model,
    record_of,
    small_layer,
)

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


def test_a_second_term_of_another_shape_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    layer = replace(random_layer(rng, 6, 5, 0.5), second=eie.Term.from_dense_codes(np.ones((6, 5)), np.arange(16)))
    record = LayerRecord.encode(layer, True)
    record.sections["second"] = LayerRecord.encode(random_layer(rng, 5, 6, 0.5), True).to_bytes()
    forge(tmp_path / "x.eie", forged_model(record.to_bytes(4)) + b"\x00", version=4)
    with pytest.raises(ModelFileError, match="second term has 5 rows and 6 columns"):
        load(tmp_path / "x.eie")
