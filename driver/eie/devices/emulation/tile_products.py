"""The ways of multiplying a tile by a batch of activations: all give the same exact sums, each is fastest somewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.contract.config import CODE_BITS, CODEBOOK_SIZE, WEIGHT_BITS

_EXACT_ENTRIES = 1 << 23
"""A product has at most 30 bits: float64 adds up this many exactly."""
_EXACT_COLUMNS = _EXACT_ENTRIES >> 16
"""A PE has at most 2**16 entries of a column."""
_SINGLE_LIMIT = 1 << 24
"""Up to here float32 holds all integers."""

_DENSE_BYTES = 32 << 20
"""A dense matrix of at most this size is kept."""
_BLOCK_BYTES = 4 << 20
"""A larger one is made block by block, each small enough for the cache."""
_SPARSE_ENTRIES = 1 << 16
"""Entries that numpy adds up at a time: the intermediate arrays stay in the cache."""
_COUNTED = np.iinfo(np.uint8).max

Way = Callable[[NDArray[np.int16], NDArray[np.int64]], None]
"""Adds the products of activations, shape (B, columns), to the sums, shape (B, size or more)."""


@dataclass(frozen=True)
class Load:
    """What a product's time depends on.

    Parameters
    ----------
    batch : int
    broadcasts : int
        Activations of the batch that are not 0.
    touched : int
        Entries that these meet.
    """

    batch: int
    broadcasts: int
    touched: int


@dataclass(eq=False)
class TileProducts:
    """A tile with one codebook looked up, and its products.

    Parameters
    ----------
    column_starts, entries, size
        As in `TileMatrix`.
    codebook : ndarray, shape (16,), int16
    """

    column_starts: NDArray[np.intp]
    entries: NDArray[np.uint32]
    size: int
    codebook: NDArray[np.int16]
    _matrices: dict[type, NDArray[np.floating]] = field(default_factory=dict, repr=False)

    def add(self, activations: NDArray[np.int16], sums: NDArray[np.int64]) -> None:
        """Add the products of a batch to its accumulators.

        Parameters
        ----------
        activations : ndarray, shape (B, columns), int16
        sums : ndarray, shape (B, size or more), int64
        """
        if len(activations) == 1 and compiled_kernels() is not None:
            # Of one vector, choosing takes longer than it saves.
            self.compiled_by_vector(activations, sums)
            return
        active = count_active(activations)
        touched = int(active @ self._lengths)
        if touched:
            self.fastest(activations, Load(len(activations), int(active.sum()), touched))(activations, sums)

    def fastest(self, activations: NDArray[np.int16], load: Load) -> Way:
        """Return the way that takes least.

        The times are nanoseconds, measured on a core of x86-64 at 2 GHz. Only their ratios count; where two ways take
        about as long it does not matter which is taken.
        """
        batch, entries, cells = load.batch, len(self.entries), len(self._used) * self.size
        times: dict[Way, float]
        if compiled_kernels() is None:
            times = {self.vector_by_vector: 45_000 * batch + 200 * load.broadcasts + 9 * load.touched}
        else:
            scan = 0.5 * batch * len(self._lengths)
            times = {self.compiled_by_vector: scan + 6 * load.broadcasts + 1.7 * load.touched}
        if entries <= _EXACT_ENTRIES:
            if compiled_kernels() is not None:
                turns = batch * (len(self._used) + self.size)
                passes = -(-batch // compiled_kernels().TOGETHER)
                times[self.compiled_together] = entries * (1.2 * passes + 0.42 * batch) + turns
            if cells * np.dtype(np.float64).itemsize > _DENSE_BYTES:
                times[self.block_by_block] = cells * (1 + 0.14 * batch) + 6 * entries
            else:
                times[self.dense] = 5_000 + cells * (0.4 + 0.14 * batch)
                single = 5_000 + cells * (0.2 + 0.07 * batch)
                if single < min(times.values()) and self._fit_single(activations):
                    times[self.dense_single] = single
        return min(times, key=times.__getitem__)

    # The ways.

    def compiled_by_vector(self, activations: NDArray[np.int16], sums: NDArray[np.int64]) -> None:
        """Walk through the entries of the active columns, vector by vector."""
        codebook = self.codebook.astype(np.int64)
        compiled_kernels().accumulate(self.column_starts, self.entries, codebook, activations, sums)

    def compiled_together(self, activations: NDArray[np.int16], sums: NDArray[np.int64]) -> None:
        """Walk through the entries once for many vectors."""
        codebook = self.codebook.astype(np.float64)
        compiled_kernels().accumulate_together(
            self.column_starts, self.entries, codebook, activations, self._totals, sums
        )

    def vector_by_vector(self, activations: NDArray[np.int16], sums: NDArray[np.int64]) -> None:
        """Gather the entries of the active columns, vector by vector."""
        for a, row in zip(activations, sums, strict=True):
            self._add_vector(a, row[: self.size])

    def dense(self, activations: NDArray[np.int16], sums: NDArray[np.int64]) -> None:
        """Multiply by a dense matrix in float64."""
        self._multiply(activations, sums, np.float64)

    def dense_single(self, activations: NDArray[np.int16], sums: NDArray[np.int64]) -> None:
        """Multiply by a dense matrix in float32: exact where `_fit_single` says so."""
        self._multiply(activations, sums, np.float32)

    def block_by_block(self, activations: NDArray[np.int16], sums: NDArray[np.int64]) -> None:
        """Multiply by a dense matrix of which there is only a block at a time."""
        step = max(1, _BLOCK_BYTES // (self.size * np.dtype(np.float64).itemsize))
        products = np.zeros((len(activations), self.size))
        for first in range(0, len(self._used), step):
            used = self._used[first : first + step]
            products += activations[:, used].astype(np.float64) @ self._block(used)
        sums[:, : self.size] += products.astype(np.int64)

    # Their parts.

    def _multiply(self, activations: NDArray[np.int16], sums: NDArray[np.int64], kind: type) -> None:
        if kind not in self._matrices:
            self._matrices[kind] = self._block(self._used).astype(kind, copy=False)
        products = activations[:, self._used].astype(kind) @ self._matrices[kind]
        sums[:, : self.size] += products.astype(np.int64)

    def _fit_single(self, activations: NDArray[np.int16]) -> bool:
        """Return whether no sum of products, however ordered, leaves the integers that float32 holds."""
        if self._reach > _SINGLE_LIMIT:
            return False
        return self._reach * max(int(activations.max()), -int(activations.min())) <= _SINGLE_LIMIT

    def _block(self, used: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return columns, which follow one another among those that are used, as a dense matrix, shape (used, size)."""
        span = slice(int(self.column_starts[used[0]]), int(self.column_starts[used[-1] + 1]))
        begin = np.repeat(np.arange(len(used)) * self.size, self._lengths[used])
        places = begin + (self.entries[span] >> CODE_BITS).astype(np.intp)
        weights = self.codebook[self.entries[span] & (CODEBOOK_SIZE - 1)].astype(np.float64)
        # A row address may wrap, so an accumulator can have several entries in a column: add, don't assign.
        flat = np.bincount(places, weights=weights, minlength=len(used) * self.size)
        return np.asarray(flat, np.float64).reshape(len(used), self.size)

    def _add_vector(self, activations: NDArray[np.int16], sums: NDArray[np.int64]) -> None:
        active = np.flatnonzero(activations)
        columns = [self._columns[column] for column in active.tolist()]
        counts, values = self._lengths[active], activations[active].astype(np.float64)
        step = max(1, min(_EXACT_COLUMNS, _SPARSE_ENTRIES * len(columns) // max(1, int(counts.sum()))))
        for first in range(0, len(columns), step):
            part = slice(first, first + step)
            entries = np.concatenate(columns[part])
            products = np.repeat(values[part], counts[part])
            products *= entries.astype(np.int16)
            entries >>= WEIGHT_BITS
            sums += np.bincount(entries.astype(np.intp, copy=False), weights=products, minlength=self.size).astype(
                np.int64
            )

    @cached_property
    def _lengths(self) -> NDArray[np.intp]:
        return np.diff(self.column_starts)

    @cached_property
    def _used(self) -> NDArray[np.intp]:
        """Columns that have entries."""
        return np.flatnonzero(self._lengths)

    @cached_property
    def _reach(self) -> int:
        """The largest sum of weights, without their signs, of an accumulator."""
        weights = np.abs(self.codebook.astype(np.float64))[self.entries & (CODEBOOK_SIZE - 1)]
        accumulators = (self.entries >> CODE_BITS).astype(np.intp)
        return int(np.bincount(accumulators, weights=weights, minlength=1).max())

    @cached_property
    def _totals(self) -> NDArray[np.float64]:
        """Room for the sums of many vectors: getting fresh memory takes longer than adding up."""
        return np.empty((self.size, compiled_kernels().TOGETHER))

    @cached_property
    def _columns(self) -> list[NDArray[np.int64]]:
        """The entries of each column, ``accumulator << 16 | weight`` in two's complement.

        Cutting them out once takes as long as a product does.
        """
        weights = self.codebook[self.entries & (CODEBOOK_SIZE - 1)]
        accumulators = (self.entries >> CODE_BITS).astype(np.int64)
        return np.split(accumulators << WEIGHT_BITS | weights.view(np.uint16), self.column_starts[1:-1])


def count_active(activations: NDArray[np.int16]) -> NDArray[np.int64]:
    """Return of each column how many activations, shape (B, columns), are not 0."""
    active = (activations != 0).view(np.uint8)
    counts = np.zeros(active.shape[1], np.int64)
    # As many bytes as a byte can count: much faster than sums of wider numbers.
    for first in range(0, len(active), _COUNTED):
        counts += active[first : first + _COUNTED].sum(axis=0, dtype=np.uint8)
    return counts


_kernels: list[Any] = []


def compiled_kernels() -> Any:
    """Return the module of loops compiled by numba (extra "fast"), or None where numba is not installed."""
    if not _kernels:
        try:
            from eie.devices.emulation import compiled
        except ImportError:
            _kernels.append(None)
        else:
            _kernels.append(compiled)
    return _kernels[0]
