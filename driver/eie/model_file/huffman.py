"""Arrays of small symbols as bytes: Huffman-coded, or at a fixed width where that is smaller or was asked for.

The Huffman coder is the standard library's: raw deflate with ``Z_HUFFMAN_ONLY``, which looks for no repetitions and so
is a length-limited canonical Huffman code with compact tables, a new one for every 32 K symbols. Any board decodes it
in C.
Every symbol takes at least one bit in either coding, so `decode` never makes more than eight symbols of a byte.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from eie.errors import ModelFileError
from eie.model_file.fields import Content

_HUFFMAN = 0
"""First byte of a Huffman-coded array; of any other it is the width of a symbol, 1 to 8 bits."""

_SYMBOL_BITS = 8
_BLOCK = 1 << 16
"""Symbols unpacked at a time; a multiple of 8, so that blocks begin with a byte."""
_LARGEST_BLOCK = 9
"""zlib's memLevel with the most symbols in a block."""


def encode(symbols: NDArray[np.uint8], huffman: bool = True) -> bytes:
    """Return an array of symbols as bytes: the smaller of both codings, or the fixed width if not ``huffman``."""
    if not len(symbols):
        return b""
    width = max(1, int(symbols.max()).bit_length())
    fixed_bytes = -(-len(symbols) * width // 8)
    if huffman:
        coder = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, _LARGEST_BLOCK, zlib.Z_HUFFMAN_ONLY)
        coded = coder.compress(symbols.tobytes()) + coder.flush()
        if len(coded) < fixed_bytes:
            return bytes([_HUFFMAN]) + coded
    bits = np.unpackbits(symbols[:, None], axis=1)[:, _SYMBOL_BITS - width :]
    return bytes([width]) + np.packbits(bits).tobytes()


def decode(data: Content, count: int) -> NDArray[np.uint8]:
    """Return the ``count`` symbols that `encode` made ``data`` of.

    Raises
    ------
    ModelFileError
        If the data do not hold exactly that many symbols; no memory is taken for more than they could hold.
    """
    if count > _SYMBOL_BITS * len(data):
        raise ModelFileError(f"{count} symbols cannot be in {len(data)} bytes: each takes at least a bit")
    if not count:
        if len(data):
            raise ModelFileError(f"{len(data)} bytes where no symbol is due")
        return np.zeros(0, np.uint8)
    width, body = data[0], data[1:]
    if width == _HUFFMAN:
        return np.frombuffer(_inflate(body, count), np.uint8)
    if width > _SYMBOL_BITS:
        raise ModelFileError(f"symbol width {width} is unknown; it must be 0 (Huffman) to {_SYMBOL_BITS}")
    if len(body) != -(-count * width // 8):
        raise ModelFileError(f"{count} symbols of {width} bits do not take {len(body)} bytes")
    symbols = np.empty(count, np.uint8)
    for first in range(0, count, _BLOCK):
        last = min(first + _BLOCK, count)
        packed = np.frombuffer(body[first * width // 8 : -(-last * width // 8)], np.uint8)
        bits = np.zeros((last - first, _SYMBOL_BITS), np.uint8)
        bits[:, _SYMBOL_BITS - width :] = np.unpackbits(packed, count=(last - first) * width).reshape(-1, width)
        symbols[first:last] = np.packbits(bits, axis=1).ravel()
    return symbols


def deflate(text: bytes) -> bytes:
    """Compress text (metadata) as raw deflate."""
    coder = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return coder.compress(text) + coder.flush()


def inflate(data: Content, limit: int) -> bytes:
    """Return what raw deflate compressed, at most ``limit`` bytes, or raise `ModelFileError`."""
    decoder = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        text = decoder.decompress(data, limit + 1)  # one more than allowed, so that zlib sees the end of its data
    except zlib.error as error:
        raise ModelFileError(f"compressed data are damaged ({error})") from error
    if not decoder.eof or len(text) > limit or decoder.unused_data:
        raise ModelFileError(f"compressed data do not end after at most {limit} bytes")
    return text


def _inflate(data: Content, count: int) -> bytes:
    symbols = inflate(data, count)
    if len(symbols) != count:
        raise ModelFileError(f"Huffman-coded data hold {len(symbols)} symbols, not {count}")
    return symbols
