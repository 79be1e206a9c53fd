"""The arrays of a layer as sections of the model file: positions, codes, codebook and biases."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eie.contract.config import BIAS_BITS, CODEBOOK_SIZE, PRE_SHIFTS, SCALE_BITS
from eie.errors import ModelFileError
from eie.model_file import huffman as coding
from eie.model_file.fields import Content, Reader, Writer, unzigzag, zigzag
from eie.network.limits import NONZEROS_LIMIT
from eie.network.scaling import Scaling

_INDICES_LIMIT = 1 << 30
_WIDEST_INDEX = 8
_CONTEXTS = 3
_NEIGHBOUR = 1
"""Most zeros between two weights that are likely to share their sign."""

Positions = NDArray[np.integer]

_LARGEST = np.iinfo(np.int32).max
_BLOCK = 1 << 16
"""Symbols taken apart at a time: a file must not make its reader take many times its size."""


def encode_positions(positions: Positions, huffman: bool) -> bytes:
    """Encode ascending positions as relative indices, at the width that takes the fewest bytes."""
    if not len(positions):
        return b""
    gaps = np.diff(positions, prepend=-1) - 1
    typical = int(gaps.mean()).bit_length()
    best = b""
    for bits in range(max(1, min(typical, _WIDEST_INDEX) - 1), min(typical + 4, _WIDEST_INDEX) + 1):
        padding = gaps // ((1 << bits) - 1)
        indices = np.full(len(gaps) + int(padding.sum()), (1 << bits) - 1, np.uint8)
        indices[np.cumsum(padding + 1) - 1] = gaps % ((1 << bits) - 1)
        section = Writer()
        section.number("relative indices", len(indices), _INDICES_LIMIT)
        section.data.append(bits)
        section.data += coding.encode(indices, huffman)
        if not best or len(section.data) < len(best):
            best = bytes(section.data)
    return best


def decode_positions(data: Content, cells: int) -> Positions:
    """Return ascending positions below ``cells``, int32 where that holds them, else int64."""
    if not len(data):
        return np.zeros(0, np.int64)
    section = Reader(data)
    count = section.number("relative indices", _INDICES_LIMIT)
    bits = section.number("bits of a relative index", _WIDEST_INDEX)
    skip = (1 << bits) - 1
    indices = coding.decode(section.left, count)
    if bits < 1 or (count and indices.max() > skip):
        raise ModelFileError(f"a relative index of {bits} bits is {indices.max()}; they hold up to {skip}")
    wide = np.int64 if cells > _LARGEST else np.int32
    positions: NDArray[np.integer] = np.empty(np.count_nonzero(indices != skip), wide)
    filled, reached = 0, -1
    for first in range(0, count, _BLOCK):
        block = indices[first : first + _BLOCK]
        entries = block != skip
        ends = reached + np.cumsum(block + entries, dtype=np.int64)
        found = ends[entries]
        if len(found) and found[-1] >= cells:
            raise ModelFileError(f"a relative index leads to cell {found[-1]}; there are {cells}")
        positions[filled : filled + len(found)] = found
        filled, reached = filled + len(found), int(ends[-1])
    return positions


def sign_contexts(positions: Positions, codes: NDArray[np.uint8], codebook: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Return 0 for a code without a near predecessor, else 1 or 2: the sign of the predecessor's weight."""
    before = codebook[np.concatenate([np.zeros(1, np.uint8), codes[:-1]])]
    return np.where(_near(positions), np.where(before < 0, 2, 1), 0).astype(np.uint8)[: len(codes)]


def _near(positions: Positions, before: int = -1) -> NDArray[np.bool_]:
    return np.diff(positions, prepend=before) - 1 <= _NEIGHBOUR


def encode_codes(codes: NDArray[np.uint8], contexts: NDArray[np.uint8], huffman: bool) -> bytes:
    """Encode codes, less 1, as one stream for each context."""
    section = Writer()
    for context in range(_CONTEXTS):
        stream = codes[contexts == context] - 1
        section.number("codes", len(stream), NONZEROS_LIMIT)
        section.section(coding.encode(stream, huffman))
    return bytes(section.data)


def decode_codes(data: Content, positions: Positions, codebook: NDArray[np.int16], informed: bool) -> NDArray[np.uint8]:
    section = Reader(data)
    streams = []
    for _ in range(_CONTEXTS):
        count = section.number("codes", len(positions))
        streams.append(coding.decode(section.section("codes"), count) + np.uint8(1))
    section.end("the codes")
    if sum(map(len, streams)) != len(positions) or (not informed and len(streams[0]) != len(positions)):
        raise ModelFileError(f"{' + '.join(str(len(s)) for s in streams)} codes for {len(positions)} positions")
    if any(len(stream) and stream.max() >= CODEBOOK_SIZE for stream in streams):
        raise ModelFileError(f"a code is beyond the codebook of {CODEBOOK_SIZE}")
    if not informed:
        return streams[0]
    alone, after_positive, after_negative = (iter(stream.tobytes()) for stream in streams)
    following = [after_negative if weight < 0 else after_positive for weight in codebook.tolist()]
    codes, code = bytearray(), 0
    try:
        for first in range(0, len(positions), _BLOCK):
            for near in _near(positions[first : first + _BLOCK], positions[first - 1] if first else -1).tolist():
                code = next(following[code] if near else alone)
                codes.append(code)
    except StopIteration:
        raise ModelFileError("a stream of codes ends too early") from None
    return np.frombuffer(codes, np.uint8)


def encode_codebook(codebook: NDArray[np.int16]) -> bytes:
    """Encode entries 1 to the last that is not 0 as int16."""
    return codebook[1 : np.max(np.flatnonzero(codebook), initial=0) + 1].astype("<i2").tobytes()


def decode_codebook(data: Content) -> NDArray[np.int16]:
    if len(data) % 2 or len(data) > 2 * (CODEBOOK_SIZE - 1):
        raise ModelFileError(
            f"codebook has {len(data)} bytes; it must have 2 for each of up to {CODEBOOK_SIZE - 1} weights"
        )
    codebook = np.zeros(CODEBOOK_SIZE, np.int16)
    codebook[1 : 1 + len(data) // 2] = np.frombuffer(data, "<i2")
    return codebook


def encode_bias(bias: NDArray[np.int64], huffman: bool) -> bytes:
    """Encode biases, less the trailing zero bits that all share, as zigzag numbers in planes of a byte, low first."""
    shared = int(np.bitwise_or.reduce(bias))
    shift = (shared & -shared).bit_length() - 1 if shared else 0
    values = bias >> shift
    values = values << 1 ^ values >> 63
    section = Writer()
    section.data.append(shift)
    while values.any():
        section.section(coding.encode((values & 0xFF).astype(np.uint8), huffman))
        values = values >> 8
    return bytes(section.data)


def decode_bias(data: Content, rows: int) -> NDArray[np.int64]:
    section = Reader(data)
    shift = section.number("trailing zeros of the biases", BIAS_BITS)
    values = np.zeros(rows, np.int64)
    for plane in range(5):
        if not len(section.left):
            break
        values |= coding.decode(section.section("bias"), rows).astype(np.int64) << 8 * plane
    section.end("the biases")
    return (values >> 1 ^ -(values & 1)) << shift


def encode_scaling(scaling: Scaling | None) -> bytes:
    """Encode the shift before scaling, the range of the outputs as zigzag numbers, and the row scales as int16."""
    if scaling is None:
        return b""
    section = Writer()
    section.number("shift before scaling", scaling.pre_shift, PRE_SHIFTS[-1])
    for name, value in (("low", scaling.low), ("high", scaling.high)):
        section.number(name, zigzag(value), 1 << SCALE_BITS)
    section.data += scaling.scale.astype("<i2").tobytes()
    return bytes(section.data)


def decode_scaling(data: Content, rows: int) -> Scaling | None:
    if not len(data):
        return None
    section = Reader(data)
    pre_shift = section.number("shift before scaling", PRE_SHIFTS[-1])
    low, high = (unzigzag(section.number(name, 1 << SCALE_BITS)) for name in ("low", "high"))
    if len(section.left) != 2 * rows:
        raise ModelFileError(f"{len(section.left)} bytes of row scales; {rows} rows need {2 * rows}")
    return Scaling(np.frombuffer(section.left, "<i2"), pre_shift, low, high)
