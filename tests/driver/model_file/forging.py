"""Models for the tests of the file, and files with a valid checksum that no writer writes."""

import itertools
import struct
import zlib
from dataclasses import fields

import numpy as np

from eie import Layer, Model
from eie.model_file.fields import Writer
from eie.model_file.layer_record import LayerRecord

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


def small_layer() -> Layer:
    return random_layer(np.random.default_rng(4), 6, 5, 0.5)
