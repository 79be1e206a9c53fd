"""The packed file: models as the C runtime (driver/c) runs them, in the words that a device executes.

All numbers are little-endian and 32 bits wide; programs are 64-bit words at multiples of 8 bytes. The file begins with
`HEADER`; what lies elsewhere is named by its offset in bytes (fields that end in ``_at``). The C header that declares
these records is generated from here (`eie.program.c_header`).

A file's models are resident together where they all fit. Else the largest stay, as many as leave room for any one of
the others, which are sent when it is their turn to run.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eie.arguments import require_type
from eie.atomic import replacing
from eie.contract import isa, registers
from eie.contract.config import WORD_BYTES, ArrayConfig
from eie.contract.dma_registers import LENGTH_BITS
from eie.errors import PackError
from eie.network.model import Model
from eie.program.packets import count_instructions
from eie.program.packing import PackedModel
from eie.program.segment import Segment, Unit, inferences_per_transfer
from eie.program.together import pack_together

MAGIC = int.from_bytes(b"EIEP", "little")
VERSION = 3
"""Version of the packed file."""

HEADER = (
    ("magic", '"EIEP"'),
    ("version", "of the packed file"),
    ("bytes", "of the whole file"),
    ("checksum", "CRC-32 (ISO-HDLC) of all that follows this field"),
    ("array_version", "what the array's register `version` must hold"),
    ("build_hash", "what its register `hash` must hold"),
    ("num_pes", "processing elements"),
    ("models", "number of models"),
    ("models_at", "their records"),
)
MODEL = (
    ("name_bytes", "of the name, UTF-8"),
    ("name_at", "where it lies"),
    ("columns", "inputs"),
    ("rows", "outputs"),
    ("input_fraction_bits", "two's complement: a stored input i stands for i / 2**bits"),
    ("output_fraction_bits", "the same of outputs"),
    ("weights_instructions", "of the program that makes the model resident"),
    ("weights_words", "0: the weights travel with every inference"),
    ("weights_at", "the program"),
    ("stays", "1: on the array as long as the file; 0: sent again when another that does not stay has run"),
    ("segments", "number of segments"),
    ("segments_at", "their records"),
)
SEGMENT = (
    ("columns", "activations in"),
    ("rows", "activations out"),
    ("output_words", "that an inference returns"),
    ("inferences", "in the largest unit"),
    ("most_units", "in a transfer"),
    ("units_at", "a record of each unit: of one inference, two and so on"),
    ("places_at", "for each row the place of its output among those returned"),
)
UNIT = (
    ("words", "of the program of its inferences"),
    ("words_at", "the program"),
    ("last_read", "the word that is the last READ"),
    ("instructions", "in the program"),
    ("inputs", "number of places for activations"),
    ("inputs_at", "their records"),
)
INPUT = (
    ("word", "of the unit at which the activations begin"),
    ("inference", "of the unit"),
    ("first", "activation"),
    ("count", "of activations"),
)
RECORDS = {"header": HEADER, "model": MODEL, "segment": SEGMENT, "unit": UNIT, "input": INPUT}

_TRANSFER_LIMIT = (1 << LENGTH_BITS) - 1
_MANY = 1 << 20


def write_packed(path: str | Path, models: Sequence[Model], config: ArrayConfig) -> list[bool]:
    """Pack models for an array and write the file that the C runtime reads; arguments and errors as `packed_bytes`.

    Returns
    -------
    list of bool
        Of each model whether it stays on the array.
    """
    packed = _pack_all(models, config)
    data = _bytes_of(packed, config)
    with replacing(path) as partial:
        partial.write_bytes(data)
    return [stays for _, stays in packed]


def packed_bytes(models: Sequence[Model], config: ArrayConfig) -> bytes:
    """Return the packed file of one or more models.

    Parameters
    ----------
    models : sequence of Model
    config : ArrayConfig

    Returns
    -------
    bytes

    Raises
    ------
    PackError
        If there is no model, one of them is a graph, or one needs a transfer that is longer than any DMA takes.
    """
    return _bytes_of(_pack_all(models, config), config)


def _pack_all(models: Sequence[Model], config: ArrayConfig) -> list[tuple[PackedModel, bool]]:
    if not models:
        raise PackError("there is no model to pack; give one or more")
    for model in models:
        require_type(
            model, Model, "model", "an eie.Model (the parts of a graph that numpy computes do not pack)", PackError
        )
    return pack_together(models, config)


def _bytes_of(packed: Sequence[tuple[PackedModel, bool]], config: ArrayConfig) -> bytes:
    file = _File()
    records = [file.model(one, stays) for one, stays in packed]
    return file.finish(
        magic=MAGIC,
        version=VERSION,
        array_version=isa.VERSION << 8 | registers.VERSION,
        build_hash=registers.build_hash(config),
        num_pes=config.num_pes,
        models=len(records),
        models_at=file.put(b"".join(records)),
    )


def _record(layout: tuple[tuple[str, str], ...], **values: int) -> bytes:
    if values.keys() != {name for name, _ in layout}:
        raise ValueError(f"a record has {[name for name, _ in layout]}, got {sorted(values)}")
    return struct.pack(f"<{len(layout)}I", *(int(values[name]) & 0xFFFF_FFFF for name, _ in layout))


class _File:
    """A packed file in the making."""

    def __init__(self) -> None:
        self.data = bytearray(len(HEADER) * 4)
        self.put(b"")

    def put(self, data: bytes) -> int:
        """Append data and return where they begin, a multiple of a stream word."""
        at = len(self.data)
        self.data += data + bytes(-len(data) % WORD_BYTES)
        self.data += bytes(-len(self.data) % WORD_BYTES)
        return at

    def finish(self, **values: int) -> bytes:
        """Return the file with its header."""
        header = _record(HEADER, bytes=len(self.data), checksum=0, **values)
        self.data[: len(header)] = header
        after = 4 * ([name for name, _ in HEADER].index("checksum") + 1)
        struct.pack_into("<I", self.data, after - 4, zlib.crc32(self.data[after:]))
        return bytes(self.data)

    def model(self, packed: PackedModel, stays: bool) -> bytes:
        model = packed.model
        _require_short(model, packed.weights.nbytes)
        name = model.name.encode()
        segments = [self._segment(packed, segment) for segment in packed.segments]
        return _record(
            MODEL,
            name_bytes=len(name),
            name_at=self.put(name),
            columns=model.columns,
            rows=packed.segments[-1].rows,
            input_fraction_bits=model.input_fraction_bits,
            output_fraction_bits=model.output_fraction_bits,
            weights_instructions=count_instructions(packed.weights, packed.config),
            weights_words=len(packed.weights),
            weights_at=self._words(packed.weights),
            stays=int(stays),
            segments=len(segments),
            segments_at=self.put(b"".join(segments)),
        )

    def _segment(self, packed: PackedModel, segment: Segment) -> bytes:
        _require_short(packed.model, segment.unit.nbytes)
        units = [self._unit(packed, unit) for unit in segment.units]
        places = np.arange(segment.rows) if segment.places is None else segment.places
        # The most inferences in one transfer are those of a batch that needs many.
        most = inferences_per_transfer(segment, _MANY) // segment.inferences
        return _record(
            SEGMENT,
            columns=segment.columns,
            rows=segment.rows,
            output_words=segment.output_words,
            inferences=segment.inferences,
            most_units=most,
            units_at=self.put(b"".join(units)),
            places_at=self.put(np.asarray(places, "<u4").tobytes()),
        )

    def _unit(self, packed: PackedModel, unit: Unit) -> bytes:
        inputs = [
            _record(INPUT, word=part.offset, inference=part.inference, first=part.first, count=part.count)
            for part in unit.inputs
        ]
        return _record(
            UNIT,
            words=len(unit.words),
            words_at=self._words(unit.words),
            last_read=unit.last_read,
            instructions=count_instructions(unit.words, packed.config),
            inputs=len(inputs),
            inputs_at=self.put(b"".join(inputs)),
        )

    def _words(self, words: NDArray[np.uint64]) -> int:
        return self.put(np.asarray(words, "<u8").tobytes())


def _require_short(model: Model, nbytes: int) -> None:
    if nbytes > _TRANSFER_LIMIT:
        raise PackError(
            f"model {model.name!r} needs a transfer of {nbytes} bytes; a DMA takes {_TRANSFER_LIMIT} at most: split "
            "the model, or run it from Python, which cuts transfers"
        )
