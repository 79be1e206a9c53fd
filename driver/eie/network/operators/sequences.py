"""Operators on sequences of tensors. A sequence is a vector whose elements are arrays (numpy's ``object``)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from eie.errors import NetworkError
from eie.network.operators.table import REQUIRED, Array, Shape, axis_of, check_elements, operator

LENGTH_LIMIT = 1 << 20
"""Most tensors of a sequence: each takes memory, however small it is."""


def is_sequence(value: Array) -> bool:
    """Say whether a value is a sequence of tensors, and no tensor."""
    return value.dtype == object and value.ndim == 1 and all(isinstance(part, np.ndarray) for part in value)


def sequence_of(parts: Collection[Array]) -> Array:
    """Return a sequence of tensors."""
    found = np.empty(_length(len(parts)), object)
    for i, part in enumerate(parts):
        found[i] = part
    return found


def _length(count: int) -> Shape:
    if count > LENGTH_LIMIT:
        raise NetworkError(f"a sequence would have {count} tensors; the limit is {LENGTH_LIMIT}")
    return (count,)


def _place(sequence: Array, position: Array | None, end: int) -> int:
    """Return a place from 0 to `end`, of which negative ones count back; by default the last."""
    place = end if position is None else int(position.ravel()[0])
    place = place + len(sequence) if place < 0 else place
    if not 0 <= place <= end:
        wanted = "last place" if position is None else f"place {int(position.ravel()[0])}"
        raise NetworkError(f"a sequence of {len(sequence)} tensors has no {wanted}")
    return place


@operator("SequenceConstruct", lambda *inputs: _length(len(inputs)))
def sequence_construct(*inputs: Array) -> Array:
    return sequence_of(inputs)


@operator("SequenceEmpty", lambda **attributes: (0,))
def sequence_empty(*, dtype: int = 1) -> Array:
    return sequence_of(())


@operator("SequenceLength", lambda sequence: ())
def sequence_length(sequence: Array) -> Array:
    return np.array(len(sequence))


@operator("SequenceAt", lambda sequence, position: sequence[_place(sequence, position, len(sequence) - 1)].shape)
def sequence_at(sequence: Array, position: Array) -> Any:
    return sequence[_place(sequence, position, len(sequence) - 1)]


def _longer(sequence: Array, tensor: Array, position: Array | None = None) -> Shape:
    """Return the length with one tensor more; as many of its size are no larger than one tensor may be."""
    check_elements((len(sequence) + 1, *tensor.shape))
    return _length(len(sequence) + 1)


@operator("SequenceInsert", _longer)
def sequence_insert(sequence: Array, tensor: Array, position: Array | None = None) -> Array:
    place = _place(sequence, position, len(sequence))
    return np.concatenate([sequence[:place], sequence_of([tensor]), sequence[place:]])


@operator("SequenceErase", lambda sequence, position=None: (max(0, len(sequence) - 1),))
def sequence_erase(sequence: Array, position: Array | None = None) -> Array:
    place = _place(sequence, position, len(sequence) - 1)
    return np.concatenate([sequence[:place], sequence[place + 1 :]])


def _split_sizes(x: Array, split: Array | None, axis: int) -> list[int]:
    """Return the sizes of the parts: as given, or all of one size but for the last."""
    whole = x.shape[axis_of(axis, x.ndim)]
    if split is not None and split.ndim:
        sizes = [int(size) for size in split]
        if sum(sizes) != whole or min(sizes, default=0) < 0:
            raise NetworkError(f"sizes {sizes} do not split axis {axis} of shape {x.shape}")
        return sizes
    size = 1 if split is None else int(split)
    if size < 1:
        raise NetworkError(f"axis {axis} of shape {x.shape} is to be split into parts of size {size}")
    _length(-(-whole // size))
    return [min(size, whole - first) for first in range(0, whole, size)]


@operator("SplitToSequence", lambda x, split=None, axis=0, **_: _length(len(_split_sizes(x, split, axis))))
def split_to_sequence(x: Array, split: Array | None = None, *, axis: int = 0, keepdims: int = 1) -> Array:
    sizes = _split_sizes(x, split, axis)
    parts = np.split(x, np.cumsum(sizes)[:-1], axis) if sizes else []
    if split is None and not keepdims:
        parts = [part.squeeze(axis) for part in parts]
    return sequence_of(parts)


def _joined(sequence: Array, *, axis: int, new_axis: int = 0) -> Shape:
    if not len(sequence):
        raise NetworkError("a sequence without tensors cannot be joined")
    shape = sequence[0].shape
    at = axis_of(axis, len(shape) + bool(new_axis))
    if new_axis:
        return (*shape[:at], len(sequence), *shape[at:])
    return (*shape[:at], sum(part.shape[at] for part in sequence), *shape[at + 1 :])


@operator("ConcatFromSequence", _joined)
def concat_from_sequence(sequence: Array, *, axis: int = REQUIRED, new_axis: int = 0) -> Array:
    return np.stack(list(sequence), axis) if new_axis else np.concatenate(list(sequence), axis)


@operator("OptionalHasElement", lambda x=None: ())
def optional_has_element(x: Array | None = None) -> Array:
    return np.array(x is not None)
