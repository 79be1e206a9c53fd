"""Gates of a recurrent layer that are multiplied together: one COMPUTE for all that read the same and share a codebook.

Each gate has a part of the accumulators, so that what is broadcast once serves all of them, columns have one pointer in
place of one for each gate, and the PEs even out what a gate gives them unevenly.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eie.contract.config import ArrayConfig
from eie.network.cells import Gate
from eie.network.model import Layer
from eie.network.term import Term
from eie.program.tiling import RowTile, row_tile_sizes, tile_layer

_MOST = 4
"""Parts of the accumulators."""


@dataclass(frozen=True)
class GatesTogether:
    """Gates that are multiplied together.

    Parameters
    ----------
    first, count : int
        Which: gates in a row.
    parts : int
        In how many parts they need the accumulators: 1, 2 or 4.
    """

    first: int
    count: int
    parts: int

    @property
    def gates(self) -> range:
        """Their numbers."""
        return range(self.first, self.first + self.count)

    def part(self, gate: int) -> int:
        """Return the part of the accumulators of a gate, as COMPUTE and STORE name it; all of them together are 0."""
        return 0 if self.parts == 1 else self.parts + gate - self.first


def gates_together(layers: Sequence[Layer], gates: Sequence[Gate], config: ArrayConfig) -> tuple[GatesTogether, ...]:
    """Return all gates, those together that can be: neighbours with the same operands and equal codebooks."""
    found: list[GatesTogether] = []
    local_rows = -(-layers[0].rows // config.lanes) * config.rows_per_group
    for _, numbers in itertools.groupby(range(len(gates)), lambda i: (gates[i].operands, _codebooks(layers[i]))):
        alike = list(numbers)
        parts = 1 << (len(alike) - 1).bit_length()
        if parts == 2 and local_rows <= config.rows // _MOST:
            parts = _MOST  # closer together, their rows take less padding
        if parts > _MOST or config.rows % (parts * config.rows_per_group):
            found += [GatesTogether(gate, 1, 1) for gate in alike]
        else:
            found.append(GatesTogether(alike[0], len(alike), parts))
    return tuple(found)


def _codebooks(layer: Layer) -> tuple[bytes, ...]:
    return tuple(term.codebook.tobytes() for term in layer.terms)


def rows_of_tiles(rows: int, together: Sequence[GatesTogether], config: ArrayConfig) -> list[int]:
    """Return how many rows of a gate are in each row tile, of the gates that have the least room."""
    return row_tile_sizes(rows, config, config.rows // max(group.parts for group in together))


def tile_gates(
    layers: Sequence[Layer], together: Sequence[GatesTogether], config: ArrayConfig
) -> tuple[tuple[GatesTogether, ...], tuple[tuple[RowTile, ...], ...]]:
    """Cut gates into tiles, those together that can be.

    Returns
    -------
    together : tuple of GatesTogether
        Gates are each by itself if a column of all of them is too long for the array.
    row_tiles : tuple, per gate a tuple of RowTile
        The tiles of gates that are multiplied together are the first one's.
    """
    groups: list[GatesTogether] = []
    found: list[tuple[RowTile, ...]] = []
    for group in together:
        of_group = [layers[gate] for gate in group.gates]
        row_tiles = _tile_together(of_group, group, config)
        if row_tiles is None:
            groups += [GatesTogether(gate, 1, 1) for gate in group.gates]
            found += [tile_layer(layer, config) for layer in of_group]
        else:
            groups.append(group)
            found.append(row_tiles)
            # Objects of their own: each gate has biases.
            found += [tuple(replace(row_tile, tiles=()) for row_tile in row_tiles) for _ in group.gates[1:]]
    return tuple(groups), tuple(found)


def _tile_together(layers: Sequence[Layer], group: GatesTogether, config: ArrayConfig) -> tuple[RowTile, ...] | None:
    if group.parts == 1:
        return tile_layer(layers[0], config)
    sizes = row_tile_sizes(layers[0].rows, config, config.rows // group.parts)
    together = tile_layer(_stacked(layers, group, sizes, config), config)
    if len(together) != len(sizes):
        return None
    first, found = 0, []
    for size, row_tile in zip(sizes, together, strict=True):
        local_rows = -(-size // config.lanes) * config.rows_per_group
        found.append(replace(row_tile, first_local_row=first, local_rows=local_rows))
        first += local_rows
    return tuple(found)


def _stacked(layers: Sequence[Layer], group: GatesTogether, sizes: Sequence[int], config: ArrayConfig) -> Layer:
    """Return one layer of all gates: of each row tile the rows of one gate behind those of the other."""
    room = config.rows // group.parts * config.num_pes
    tile = np.repeat(np.arange(len(sizes)), sizes)
    within = np.arange(len(tile)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    place = tile * (group.parts * room) + within
    rows = len(sizes) * config.rows * config.num_pes
    terms = [
        _stacked_terms(terms, [place + gate * room for gate in range(len(layers))], rows)
        for terms in zip(*(layer.terms for layer in layers), strict=True)
    ]
    return layers[0].with_terms(terms, rows=rows, bias=np.zeros(rows, np.int64), scaling=None, shift=0)


def _stacked_terms(terms: Sequence[Term], places: Sequence[NDArray[np.intp]], rows: int) -> Term:
    columns = np.concatenate([term.column_indices() for term in terms])
    into = np.concatenate([place[term.row_indices] for term, place in zip(terms, places, strict=True)])
    order = np.argsort(columns.astype(np.int64) * rows + into)
    starts = np.sum([term.column_starts for term in terms], axis=0)
    return Term(starts, into[order], np.concatenate([term.codes for term in terms])[order], terms[0].codebook)
