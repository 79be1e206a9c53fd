"""A run of layers computed on chip from activations to activations, and its words for a batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from eie.contract import isa
from eie.contract.config import ACTIVATIONS_PER_WORD, WORD_BYTES

_Part = TypeVar("_Part")

SHORT_UNIT_WORDS = 1024
"""Up to here, flushing a whole program costs less than flushing its inputs one by one."""


@dataclass(frozen=True)
class Input:
    """Where a part of an inference's activations goes in a segment's unit."""

    offset: int
    inference: int
    first: int
    count: int


@dataclass(frozen=True)
class Output:
    """A part of an inference's outputs, padding included, in the order in which a segment's unit returns them."""

    inference: int
    first: int
    count: int


@dataclass(frozen=True)
class Unit:
    """The instructions of some inferences, interleaved.

    Parameters
    ----------
    words : ndarray, uint64
    inputs : tuple of Input
    last_read : int
        Offset of the last READ's header.
    outputs : tuple of Output
        Empty if all of an inference's outputs come before the next one's.
    """

    words: NDArray[np.uint64]
    inputs: tuple[Input, ...]
    last_read: int
    outputs: tuple[Output, ...] = ()

    @property
    def inferences(self) -> int:
        return 1 + max(part.inference for part in self.inputs)


@dataclass(frozen=True)
class Segment:
    """A run of layers computed on chip from activations to activations.

    Parameters
    ----------
    layers : range
        Indices of the model's layers.
    units : tuple of Unit
        Of one inference, two, ...: as many as there is room for on the array, so that one computes while another's
        outputs are stored, or as share the weights that are streamed.
    columns, rows : int
        Activations in and out per inference.
    output_words : int
        Stream words that one inference returns.
    places : ndarray, shape (rows,), optional
        Place of each output among those that the array returns; default: its own.
    shared : bool
        Whether all inferences of a unit compute with a tile of weights before the next one is loaded.
    """

    layers: range
    units: tuple[Unit, ...]
    columns: int
    rows: int
    output_words: int
    places: NDArray[np.intp] | None = None
    shared: bool = False

    def of_more_inputs(self, columns: int, before: int) -> Segment:
        """Return the segment for so many activations, of which it reads none of the given number of first ones."""

        def moved(unit: Unit) -> Unit:
            return replace(unit, inputs=tuple(replace(part, first=before + part.first) for part in unit.inputs))

        return replace(self, columns=columns, units=tuple(map(moved, self.units)))

    @property
    def inferences(self) -> int:
        """Inferences of the largest unit."""
        return len(self.units)

    @property
    def unit(self) -> NDArray[np.uint64]:
        """Words of the largest unit."""
        return self.units[-1].words

    def in_turn(self, parts: Sequence[_Part], inferences: Iterable[int]) -> list[tuple[int, _Part]]:
        """Return the parts of a layer, each with its inference, as a unit has them: of one inference after another, or,
        where inferences share weights, one part of all of them after another."""
        if self.shared:
            return [(inference, part) for part in parts for inference in inferences]
        return [(inference, part) for inference in inferences for part in parts]

    def words(self, batch: int) -> int:
        """Stream words of a batch of inferences."""
        units, rest = divmod(batch, self.inferences)
        return units * len(self.unit) + (len(self.units[rest - 1].words) if rest else 0)

    def fill(self, activations: NDArray[np.int16], words: NDArray[np.uint64]) -> None:
        """Write the program of a batch, int16 shape (B, columns), to `words` of `words(B)` elements."""
        self.write_program(len(activations), words)
        self.write_activations(activations, words)

    def write_program(self, batch: int, words: NDArray[np.uint64]) -> None:
        """Write what is the same for every batch of this size: all but the activations."""
        units, rest = divmod(batch, self.inferences)
        in_units = units * len(self.unit)
        words[:in_units].reshape(units, len(self.unit))[:] = self.unit
        last = self.units[rest - 1]
        if rest:
            words[in_units:] = last.words
        # The packet to the host ends with the last inference.
        words[len(words) - len(last.words) + last.last_read] |= np.uint64(isa.READ.field("last").mask)

    def write_activations(self, activations: NDArray[np.int16], words: NDArray[np.uint64]) -> None:
        """Write a batch's activations, int16 shape (B, columns), into the program that `write_program` wrote."""
        units, rest = divmod(len(activations), self.inferences)
        values = words.view(np.int16)
        in_units = units * len(self.unit) * ACTIVATIONS_PER_WORD
        if units:
            _place(activations[: units * self.inferences], values[:in_units].reshape(units, -1), self.units[-1])
        if rest:
            _place(activations[units * self.inferences :], values[in_units:].reshape(1, -1), self.units[rest - 1])

    def changed(self, batch: int) -> list[slice] | None:
        """Return the bytes that `write_activations` writes; None where the whole program is hardly more."""
        if len(self.unit) <= SHORT_UNIT_WORDS:
            return None
        units, rest = divmod(batch, self.inferences)
        begins = [(number * len(self.unit), self.units[-1]) for number in range(units)]
        if rest:
            begins.append((units * len(self.unit), self.units[rest - 1]))
        return [
            slice(WORD_BYTES * first, WORD_BYTES * (first - (-part.count // ACTIVATIONS_PER_WORD)))
            for begin, unit in begins
            for part in unit.inputs
            for first in [begin + part.offset]
        ]

    def changed_bytes(self, batch: int) -> int:
        """Bytes that the host flushes for a batch whose program its buffer holds already."""
        changed = self.changed(batch)
        return WORD_BYTES * self.words(batch) if changed is None else sum(part.stop - part.start for part in changed)

    def unpack(self, received: NDArray[np.uint8], batch: int) -> NDArray[np.int16]:
        """Return the outputs of a batch, int16 shape (B, rows), from the bytes received."""
        outputs = self._in_order(received.view(np.int16), batch).reshape(batch, -1)
        return outputs[:, : self.rows] if self.places is None else np.take(outputs, self.places, axis=1)

    def _in_order(self, values: NDArray[np.int16], batch: int) -> NDArray[np.int16]:
        """Return what units returned, one inference after another."""
        if not self.units[-1].outputs:
            return values
        units, rest = divmod(batch, self.inferences)
        each = self.output_words * ACTIVATIONS_PER_WORD
        whole = units * self.inferences * each
        parts = [_collect(values[:whole].reshape(units, -1), self.units[-1], each)] if units else []
        if rest:
            parts.append(_collect(values[whole:].reshape(1, -1), self.units[rest - 1], each))
        return np.concatenate(parts)


def _collect(values: NDArray[np.int16], unit: Unit, each: int) -> NDArray[np.int16]:
    """Return the outputs of units, shape (units, lanes of a unit), one inference after another, `each` of one."""
    ordered = np.empty((len(values), unit.inferences, each), np.int16)
    at = 0
    for part in unit.outputs:
        ordered[:, part.inference, part.first : part.first + part.count] = values[:, at : at + part.count]
        at += part.count
    return ordered.reshape(-1, each)


def _place(activations: NDArray[np.int16], values: NDArray[np.int16], unit: Unit) -> None:
    """Write activations, one inference after another, into units, shape (units, lanes of a unit)."""
    together = len(activations) // len(values)
    for part in unit.inputs:
        start = part.offset * ACTIVATIONS_PER_WORD
        columns = slice(part.first, part.first + part.count)
        values[:, start : start + part.count] = activations[part.inference :: together, columns]


# A transfer holds as many inferences as fit this: small enough that a batch has several, between which filling and
# running overlap, and that a buffer stays in the processor's cache from quantising to flushing; large enough that
# the cost of starting a transfer does not count.
_TRANSFER_BYTES = 1 << 19


def inferences_per_transfer(segment: Segment, batch: int) -> int:
    """Return how many inferences of a batch go into one transfer; the last one may have fewer.

    All transfers alike, where that is possible: a buffer keeps its program for the next one of the same size.
    """
    words = max(len(segment.unit), segment.output_words * segment.inferences)
    most = max(1, _TRANSFER_BYTES // (WORD_BYTES * words))
    units = max(1, -(-batch // segment.inferences))
    transfers = -(-units // most)
    return -(-units // transfers) * segment.inferences
