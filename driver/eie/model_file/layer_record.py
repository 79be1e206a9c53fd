"""A layer's record in the model file: its header fields, and its arrays in the layout that takes the fewest bytes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eie.contract.config import CODE_BITS, CODEBOOK_SIZE, SHIFT_LIMIT
from eie.errors import ModelFileError
from eie.model_file.fields import Content, Reader, Writer, unzigzag, zigzag
from eie.model_file.sections import (
    Positions,
    decode_bias,
    decode_codebook,
    decode_codes,
    decode_positions,
    decode_scaling,
    encode_bias,
    encode_codes,
    encode_positions,
    encode_scaling,
    sign_contexts,
)
from eie.network.limits import ACTIVATION_FRACTION_BITS, LINES_LIMIT, NONZEROS_LIMIT, WEIGHT_FRACTION_BITS
from eie.network.model import Layer
from eie.network.term import Term

_LINE_BITS = LINES_LIMIT.bit_length()
_BLOCK = 1 << 16
"""Weights placed at a time."""
_SIGNED = {
    "input_fraction_bits": ACTIVATION_FRACTION_BITS,
    "output_fraction_bits": ACTIVATION_FRACTION_BITS,
    "weight_fraction_bits": WEIGHT_FRACTION_BITS,
}
_LIMITS = {
    "rows": LINES_LIMIT,
    "columns": LINES_LIMIT,
    "nonzeros": NONZEROS_LIMIT,
    "shift": SHIFT_LIMIT,
    "relu": 1,
    **{name: 2 * max(map(abs, limits)) for name, limits in _SIGNED.items()},
    "by_row": 1,
    "width": LINES_LIMIT,
    "informed": 1,
}
"""Header fields and their largest values; signed ones are zigzag numbers."""
_SECTIONS = ("empty", "positions", "codes", "codebook", "bias")
SCALING = "scaling"
"""A section of format version 3: empty, or the row scales and the range of the outputs."""
SECOND = "second"
"""A section of format version 4: empty, or the second term as the record, of version 1, of a layer without biases."""


@dataclass
class LayerRecord:
    """A layer as the file has it: header fields in the order of the file, then named sections, not decoded."""

    name: str
    rows: int
    columns: int
    nonzeros: int
    shift: int
    relu: int
    input_fraction_bits: int
    output_fraction_bits: int
    weight_fraction_bits: int
    by_row: int
    """1: cells are counted along rows, 0: along columns."""
    width: int
    """If not 0, columns are the pixels of a picture this wide, counted in strips two pixels high."""
    informed: int
    """1: a code is coded knowing the sign of a neighbour before it."""
    sections: dict[str, Content]

    @classmethod
    def encode(cls, layer: Layer, huffman: bool) -> LayerRecord:
        """Return a layer's record: with ``huffman`` in the smallest of the layouts, else in the plain one."""
        if not huffman:
            return cls._lay_out(layer, 0, 0, 0, False)
        scans = [(0, 0), (1, 0)]
        side = math.isqrt(layer.columns)
        if side * side == layer.columns and side > 2:
            scans.append((1, side))
        layouts = (cls._lay_out(layer, *scan, 0, True) for scan in scans)
        best = min(layouts, key=lambda record: len(record.sections["empty"]) + len(record.sections["positions"]))
        informed = cls._lay_out(layer, best.by_row, best.width, 1, True)
        return min(best, informed, key=lambda record: len(record.to_bytes()))

    @classmethod
    def _lay_out(cls, layer: Layer, by_row: int, width: int, informed: int, huffman: bool) -> LayerRecord:
        order, positions, empty = _scan(layer, by_row, width)
        codes = layer.codes[order]
        contexts = sign_contexts(positions, codes, layer.codebook) if informed else np.zeros(len(codes), np.uint8)
        return cls(
            name=layer.name,
            rows=layer.rows,
            columns=layer.columns,
            nonzeros=len(layer.codes),
            shift=layer.shift,
            relu=int(layer.relu),
            input_fraction_bits=layer.input_fraction_bits,
            output_fraction_bits=layer.output_fraction_bits,
            weight_fraction_bits=layer.weight_fraction_bits,
            by_row=by_row,
            width=width,
            informed=informed,
            sections={
                "empty": encode_positions(empty, huffman),
                "positions": encode_positions(positions, huffman),
                "codes": encode_codes(codes, contexts, huffman),
                "codebook": layer.codebook[1 : np.max(np.flatnonzero(layer.codebook), initial=0) + 1]
                .astype("<i2")
                .tobytes(),
                "bias": encode_bias(layer.bias, huffman),
                SCALING: encode_scaling(layer.scaling),
                SECOND: b"" if layer.second is None else _encode_term(layer, huffman),
            },
        )

    def to_bytes(self, version: int = 1) -> bytes:
        """Return the record as a file of this format version has it."""
        record = Writer()
        record.text("layer name", self.name)
        for field, limit in _LIMITS.items():
            value = getattr(self, field)
            record.number(field, zigzag(value) if field in _SIGNED else value, limit)
        for name in _sections(version):
            record.section(self.sections[name])
        return bytes(record.data)

    @classmethod
    def parse(cls, data: Content, version: int = 1) -> LayerRecord:
        """Return the record that `to_bytes` made ``data`` of, sections still encoded."""
        record = Reader(data)
        name = record.text("layer name")
        values = {field: record.number(field, limit) for field, limit in _LIMITS.items()}
        values.update({field: unzigzag(values[field]) for field in _SIGNED})
        sections = {name: record.section(name) for name in _sections(version)}
        record.end(f"layer {name!r}")
        return cls(name=name, **values, sections=sections)  # type: ignore[arg-type]

    def decode(self) -> Layer:
        """Return the layer, checked against the arithmetic contract."""
        lines = self.columns if self.by_row else self.rows
        empty = decode_positions(self.sections["empty"], lines)
        used = np.ones(lines, bool)
        used[empty] = False
        kept = _line_order(lines, self.width)
        kept = kept[used[kept]]
        positions = decode_positions(
            self.sections["positions"], len(kept) * (self.rows if self.by_row else self.columns)
        )
        if len(positions) != self.nonzeros:
            raise ModelFileError(f"layer {self.name!r}: {len(positions)} positions for {self.nonzeros} non-zeros")
        codebook = decode_codebook(self.sections["codebook"])
        codes = decode_codes(self.sections["codes"], positions, codebook, bool(self.informed))
        starts, row_indices, codes = self._by_column(positions, kept, codes)
        return Layer(
            rows=self.rows,
            columns=self.columns,
            column_starts=starts,
            row_indices=row_indices,
            codes=codes,
            codebook=codebook,
            bias=decode_bias(self.sections["bias"], self.rows),
            shift=self.shift,
            relu=bool(self.relu),
            input_fraction_bits=self.input_fraction_bits,
            output_fraction_bits=self.output_fraction_bits,
            weight_fraction_bits=self.weight_fraction_bits,
            name=self.name,
            scaling=decode_scaling(self.sections.get(SCALING, b""), self.rows),
            second=self._second(),
        )

    def _second(self) -> Term | None:
        data = self.sections.get(SECOND, b"")
        if not len(data):
            return None
        record = LayerRecord.parse(data)
        if (record.rows, record.columns) != (self.rows, self.columns):
            raise ModelFileError(
                f"layer {self.name!r}: its second term has {record.rows} rows and {record.columns} columns"
            )
        return record.decode().terms[0]

    def _by_column(
        self, positions: Positions, kept: Positions, codes: NDArray[np.uint8]
    ) -> tuple[NDArray[np.intp], NDArray[np.int32], NDArray[np.uint8]]:
        """Return column starts, row indices and codes, column by column.

        Column, row and code of a weight lie in one number, so that one array is sorted, in its place.
        """
        cells = np.empty(len(positions), np.int64)
        for first in range(0, len(cells), _BLOCK):
            part = slice(first, first + _BLOCK)
            major, rank = np.divmod(positions[part].astype(np.int64), max(1, len(kept)))
            minor = kept[rank.astype(np.intp, copy=False)].astype(np.int64, copy=False)
            row, column = (major, minor) if self.by_row else (minor, major)
            cells[part] = (column << _LINE_BITS | row) << CODE_BITS | codes[part]
        del positions
        if self.by_row or self.width:
            cells.sort()
        starts = np.searchsorted(cells, np.arange(self.columns + 1, dtype=np.int64) << _LINE_BITS + CODE_BITS)
        row_indices, ordered = np.empty(len(cells), np.int32), np.empty(len(cells), np.uint8)
        for first in range(0, len(cells), _BLOCK):
            part = slice(first, first + _BLOCK)
            row_indices[part] = cells[part] >> CODE_BITS & (1 << _LINE_BITS) - 1
            ordered[part] = cells[part] & CODEBOOK_SIZE - 1
        return starts.astype(np.intp, copy=False), row_indices, ordered


def _sections(version: int) -> tuple[str, ...]:
    return (*_SECTIONS, SCALING, SECOND)[: len(_SECTIONS) + max(0, version - 2)]


def _encode_term(layer: Layer, huffman: bool) -> bytes:
    """Encode a layer's second term."""
    term = layer.second
    assert term is not None
    parts = (term.column_starts, term.row_indices, term.codes, term.codebook)
    alone = Layer(layer.rows, layer.columns, *parts, np.zeros(layer.rows, np.int64), 0, False)
    return LayerRecord.encode(alone, huffman).to_bytes()


def _scan(layer: Layer, by_row: int, width: int) -> tuple[Positions, Positions, Positions]:
    """Return the order of non-zeros in a scan, their positions in it, and the empty lines that the scan leaves out."""
    # The number of a cell may be larger than an index of a 32-bit processor: in int64, as `Positions` are.
    rows, columns = layer.row_indices.astype(np.int64), layer.column_indices().astype(np.int64)
    major, minor, lines = (rows, columns, layer.columns) if by_row else (columns, rows, layer.rows)
    used = np.zeros(lines, bool)
    used[minor] = True
    kept = _line_order(lines, width)
    kept = kept[used[kept]]
    rank = np.zeros(lines, np.int64)
    rank[kept] = np.arange(len(kept))
    positions = major * len(kept) + rank[minor]
    order = np.argsort(positions, kind="stable")
    return order, positions[order], np.flatnonzero(~used)


def _line_order(lines: int, width: int) -> Positions:
    if not width:
        return np.arange(lines)
    y, x = np.divmod(np.arange(lines), width)
    return np.lexsort((y % 2, x, y // 2))
