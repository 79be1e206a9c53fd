"""A run of layers computed on chip from activations to activations, and its words for a batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eie.contract import isa
from eie.contract.config import ACTIVATIONS_PER_WORD, WORD_BYTES

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
class Segment:
    """A run of layers computed on chip from activations to activations.

    Parameters
    ----------
    layers : range
        Indices of the model's layers.
    unit : ndarray, uint64
        The instructions of one or two inferences (two where inputs alternate between two places).
    inferences : int
        Inferences in a unit.
    columns, rows : int
        Activations in and out per inference.
    output_words : int
        Stream words that one inference returns.
    compute_addresses : tuple, per inference a tuple of int
        Activation group at which each COMPUTE begins, in the order of layers, row tiles and tiles.
    places : ndarray, shape (rows,), optional
        Place of each output among those that the array returns; default: its own.
    """

    layers: range
    unit: NDArray[np.uint64]
    inferences: int
    columns: int
    rows: int
    output_words: int
    inputs: tuple[Input, ...]
    last_reads: tuple[int, ...]
    ends: tuple[int, ...]
    compute_addresses: tuple[tuple[int, ...], ...]
    places: NDArray[np.intp] | None = None

    def words(self, batch: int) -> int:
        """Stream words of a batch of inferences."""
        units, rest = divmod(batch, self.inferences)
        return units * len(self.unit) + (self.ends[rest - 1] if rest else 0)

    def fill(self, activations: NDArray[np.int16], words: NDArray[np.uint64]) -> None:
        """Write the program of a batch, int16 shape (B, columns), to `words` of `words(B)` elements."""
        self.write_program(len(activations), words)
        self.write_activations(activations, words)

    def write_program(self, batch: int, words: NDArray[np.uint64]) -> None:
        """Write what is the same for every batch of this size: all but the activations."""
        units, rest = divmod(batch, self.inferences)
        in_units = units * len(self.unit)
        words[:in_units].reshape(units, len(self.unit))[:] = self.unit
        words[in_units:] = self.unit[: len(words) - in_units]
        # The packet to the host ends with the last inference.
        last = self.last_reads[rest - 1] - (0 if rest else len(self.unit))
        words[in_units + last] |= np.uint64(isa.READ.field("last").mask)

    def write_activations(self, activations: NDArray[np.int16], words: NDArray[np.uint64]) -> None:
        """Write a batch's activations, int16 shape (B, columns), into the program that `write_program` wrote."""
        units, rest = divmod(len(activations), self.inferences)
        in_units = units * self.inferences
        values = words.view(np.int16)
        stride = len(self.unit) * ACTIVATIONS_PER_WORD
        whole, tail = values[: units * stride].reshape(units, stride), values[units * stride :]
        for part in self.inputs:
            columns = slice(part.first, part.first + part.count)
            start = part.offset * ACTIVATIONS_PER_WORD
            place = slice(start, start + part.count)
            whole[:, place] = activations[part.inference : in_units : self.inferences, columns]
            if part.inference < rest:
                tail[place] = activations[in_units + part.inference, columns]

    def changed(self, batch: int) -> list[slice] | None:
        """Return the bytes that `write_activations` writes; None where the whole program is hardly more."""
        if len(self.unit) <= SHORT_UNIT_WORDS:
            return None
        return [
            slice(WORD_BYTES * first, WORD_BYTES * (first - (-part.count // ACTIVATIONS_PER_WORD)))
            for inference in range(batch)
            for part in self.inputs
            if part.inference == inference % self.inferences
            for first in [inference // self.inferences * len(self.unit) + part.offset]
        ]

    def changed_bytes(self, batch: int) -> int:
        """Bytes that the host flushes for a batch whose program its buffer holds already."""
        changed = self.changed(batch)
        return WORD_BYTES * self.words(batch) if changed is None else sum(part.stop - part.start for part in changed)

    def unpack(self, received: NDArray[np.uint8], batch: int) -> NDArray[np.int16]:
        """Return the outputs of a batch, int16 shape (B, rows), from the bytes received."""
        outputs = received.view(np.int16).reshape(batch, -1)
        return outputs[:, : self.rows] if self.places is None else np.take(outputs, self.places, axis=1)


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
