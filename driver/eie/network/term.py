"""A sparse matrix of shared weights: what the array adds up in one pass over a layer's columns."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eie.arguments import real_array
from eie.contract.config import CODEBOOK_SIZE
from eie.errors import LayerError
from eie.network.limits import NONZEROS_LIMIT

_ARRAYS = {"column_starts": np.intp, "row_indices": np.int32, "codes": np.uint8, "codebook": np.int16}


@dataclass(frozen=True, eq=False, repr=False)
class Term:
    """Non-zero 4-bit codes by column, and their codebook.

    A layer whose weights 15 values do not serve is the sum of two terms on the same accumulators: 255 values, for up to
    twice the work.

    Parameters
    ----------
    column_starts : ndarray, shape (C + 1,), intp
        Column j's non-zeros are elements column_starts[j] to column_starts[j + 1] - 1 of the next two.
    row_indices : ndarray, shape (nnz,), int32
        Strictly ascending in each column.
    codes : ndarray, shape (nnz,), uint8
        1 to 15.
    codebook : ndarray, shape (16,), int16
        Shared weights; entry 0 is 0.
    """

    column_starts: NDArray[np.intp]
    row_indices: NDArray[np.int32]
    codes: NDArray[np.uint8]
    codebook: NDArray[np.int16]

    def __post_init__(self) -> None:
        for name, dtype in _ARRAYS.items():
            object.__setattr__(self, name, frozen_integers(getattr(self, name), dtype, f"term: {name}"))

    @classmethod
    def from_dense_codes(cls, dense_codes: ArrayLike, codebook: ArrayLike) -> Term:
        """Return a term from codes, shape (R, C), uint8 0 to 15."""
        given = real_array(dense_codes, "dense_codes", LayerError)
        if given.ndim != 2:
            raise LayerError(f"dense_codes has shape {given.shape}; it must be (rows, columns)")
        dense = given.astype(np.uint8)
        if not np.array_equal(dense, given):
            raise LayerError(f"dense_codes has values other than 0 to {CODEBOOK_SIZE - 1}")
        by_column = np.ascontiguousarray(dense.T)
        flat = np.flatnonzero(by_column)
        starts = np.zeros(len(by_column) + 1, np.intp)
        np.cumsum(np.count_nonzero(by_column, axis=1), out=starts[1:])
        return cls(starts, (flat % dense.shape[0]).astype(np.int32), by_column.ravel()[flat], codebook)  # type: ignore[arg-type]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Term):
            return NotImplemented
        return all(np.array_equal(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))

    def __hash__(self) -> int:
        return hash((len(self.column_starts), len(self.codes)))

    @property
    def weights(self) -> NDArray[np.int64]:
        """The weight of every stored code, shape (nnz,)."""
        return self.codebook.astype(np.int64)[self.codes]

    def column_indices(self) -> NDArray[np.intp]:
        """Return the column of every stored code, shape (nnz,), intp."""
        return np.repeat(np.arange(len(self.column_starts) - 1), np.diff(self.column_starts))

    def check(self, rows: int, columns: int) -> None:
        """Raise `LayerError` unless this is a matrix of so many rows and columns, and its codes have values."""
        starts, indices, codes = self.column_starts, self.row_indices, self.codes
        _require(len(codes) <= NONZEROS_LIMIT, f"it has {len(codes)} weights; the limit is {NONZEROS_LIMIT}")
        _require(starts.shape == (columns + 1,), f"column_starts has shape {starts.shape}, not ({columns + 1},)")
        _require(starts[0] == 0 and bool((np.diff(starts) >= 0).all()), "column_starts must ascend from 0")
        _require(
            indices.shape == codes.shape == (starts[-1],),
            f"column_starts ends at {starts[-1]}, there are {len(codes)} codes",
        )
        if len(indices):
            _require(
                indices.min() >= 0 and indices.max() < rows,
                f"row indices {indices.min()}..{indices.max()} out of range",
            )
            ascending = np.diff(indices) > 0
            ascending[starts[1:-1][(starts[1:-1] > 0) & (starts[1:-1] < len(indices))] - 1] = True
            _require(bool(ascending.all()), "row indices must ascend strictly within a column")
            _require(bool((codes != 0).all()) and codes.max() < CODEBOOK_SIZE, "stored codes must be 1 to 15")
        _require(self.codebook.shape == (CODEBOOK_SIZE,), f"codebook has shape {self.codebook.shape}, not (16,)")
        _require(
            self.codebook[0] == 0,
            f"codebook entry 0 is {self.codebook[0]}; it stands for an absent weight, so it must be 0",
        )


def frozen_integers(value: ArrayLike, dtype: type, what: str) -> NDArray[Any]:
    """Return integers as a read-only array of a type that holds them, or raise `LayerError`."""
    array = value if isinstance(value, np.ndarray) else real_array(value, what, LayerError)
    if array.dtype == dtype and array.base is None and not array.flags.writeable:
        return array
    if array.dtype.kind not in "iu":
        raise LayerError(f"{what} is {array.dtype}; it must hold integers")
    converted: NDArray[Any] = array.astype(dtype)
    if array.dtype != dtype and not np.array_equal(converted, array):
        raise LayerError(f"{what} has values outside {np.dtype(dtype)}")
    converted.flags.writeable = False
    return converted


def _require(condition: bool | np.bool_, message: str) -> None:
    if not condition:
        raise LayerError(message)
