"""Packing of equally wide bit fields into fixed-size beats of bytes, and back; vectorised over beats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pack_fields(values: NDArray[np.integer], width: int, beat_bytes: int) -> NDArray[np.uint8]:
    """Pack each row of fields into one beat, low bits first.

    Parameters
    ----------
    values : ndarray, shape (beats, fields), unsigned, each below 2**width
    width : int
        Bits of a field, at most 32.
    beat_bytes : int

    Returns
    -------
    ndarray, shape (beats, beat_bytes), uint8
    """
    beats, fields = values.shape
    packed = np.zeros((beats, beat_bytes + 5), np.uint8)
    for i in range(fields):
        first, shift = divmod(i * width, 8)
        shifted = values[:, i].astype(np.uint64) << np.uint64(shift)
        for byte in range((shift + width + 7) // 8):
            packed[:, first + byte] |= (shifted >> np.uint64(8 * byte)).astype(np.uint8)
    return packed[:, :beat_bytes]


def unpack_fields(beats: NDArray[np.uint8], width: int, fields: int) -> NDArray[np.uint32]:
    """Return the fields of each beat, shape (beats, fields), uint32: the inverse of `pack_fields`."""
    values = np.empty((len(beats), fields), np.uint32)
    mask = np.uint64((1 << width) - 1)
    for i in range(fields):
        first, shift = divmod(i * width, 8)
        word = np.zeros(len(beats), np.uint64)
        for byte in range((shift + width + 7) // 8):
            word |= beats[:, first + byte].astype(np.uint64) << np.uint64(8 * byte)
        values[:, i] = (word >> np.uint64(shift)) & mask
    return values
