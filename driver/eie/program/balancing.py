"""Which row goes to which PE: an assignment at compile time that gives every PE about as many non-zeros.

Row r of the network need not be row r of the array. Any order will do as long as the columns of the next layer and
the outputs that the host reads follow it, and neither costs the hardware anything. So the rows of a layer are
dealt out by their number of non-zeros, the longest first, and then exchanged until no exchange helps.

A row tile ends when its slowest PE does, so each row tile is balanced by itself.
"""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from eie.network.model import Layer, Model
from eie.network.term import Term

_EXCHANGES = 1000
_CLOSE_ENOUGH = 0.001
"""Stop exchanging rows when the fullest PE has at most this share more than the mean."""


def balance(model: Model, blocks: list[list[int]], num_pes: int) -> tuple[Model, tuple[NDArray[np.intp], ...]]:
    """Order the rows of every layer so that the PEs have about the same work.

    Parameters
    ----------
    model : Model
    blocks : list, per layer a list of int
        Rows of each of its row tiles.
    num_pes : int

    Returns
    -------
    balanced : Model
        The same function, but for the order of its outputs.
    places : tuple of ndarray, intp, per layer of shape (R,)
        Row of the balanced layer that each row has become.
    """
    layers: list[Layer] = []
    places: list[NDArray[np.intp]] = []
    columns = np.arange(model.columns)
    for layer, sizes in zip(model.layers, blocks, strict=True):
        counts = np.sum([np.bincount(term.row_indices, minlength=layer.rows) for term in layer.terms], axis=0)
        order = assign_rows(counts, sizes, num_pes)
        place = np.empty_like(order)
        place[order] = np.arange(layer.rows)
        layers.append(reorder_layer(layer, columns, place, order))
        places.append(place)
        columns = order
    balanced = Model(layers, model.name, model.metadata)
    return balanced, tuple(places)


def assign_rows(counts: NDArray[np.integer], blocks: list[int], num_pes: int) -> NDArray[np.intp]:
    """Return the row to put at each place.

    Parameters
    ----------
    counts : ndarray, shape (R,)
        Non-zeros of each row.
    blocks : list of int
        Rows of consecutive row tiles; their sum is R. All but the last are multiples of `num_pes`.
    num_pes : int

    Returns
    -------
    ndarray, shape (R,), intp
        Place p is in PE ``p mod num_pes``.
    """
    descending = np.argsort(-np.asarray(counts, np.intp), kind="stable")
    tiles = _deal(descending, blocks)
    return np.concatenate([_assign_block(rows, counts[rows], num_pes) for rows in tiles])


def _deal(descending: NDArray[np.intp], blocks: list[int]) -> list[NDArray[np.intp]]:
    """Deal rows out to blocks in proportion to their sizes, so that each gets long and short ones."""
    # The k-th of n places of a block lies at (k + 1/2) / n of the way through all rows.
    block = np.repeat(np.arange(len(blocks)), blocks)
    way = np.concatenate([(np.arange(size) + 0.5) / size for size in blocks])
    owner = block[np.argsort(way, kind="stable")]
    return [descending[owner == b] for b in range(len(blocks))]


def _assign_block(rows: NDArray[np.intp], counts: NDArray[np.integer], num_pes: int) -> NDArray[np.intp]:
    """Return the rows of a block, given with the longest first, in the order of their places."""
    full, more = divmod(len(rows), num_pes)
    room = [full + (pe < more) for pe in range(num_pes)]
    held: list[list[int]] = [[] for _ in range(num_pes)]
    heap = [(0, pe) for pe in range(num_pes) if room[pe]]
    for index, count in enumerate(counts.tolist()):
        load, pe = heapq.heappop(heap)
        held[pe].append(index)
        if len(held[pe]) < room[pe]:
            heapq.heappush(heap, (load + count, pe))
    table = np.full((num_pes, full + (more > 0)), -1)
    for pe, indices in enumerate(held):
        table[pe, : len(indices)] = indices
    _exchange(table, np.asarray(counts, np.intp))
    by_place = table.T.ravel()
    return rows[by_place[by_place >= 0]]


def _exchange(table: NDArray[np.intp], counts: NDArray[np.intp]) -> None:
    """Exchange rows of the fullest PE, shape (PEs, rows of a PE), for shorter ones while that lowers the fullest."""
    held = np.append(counts, 0)[table]  # -1, no row, looks up the 0
    loads = held.sum(axis=1)
    for _ in range(_EXCHANGES):
        pe = int(loads.argmax())
        if loads[pe] <= loads.mean() * (1 + _CLOSE_ENOUGH) + 1:
            return
        # What would move from this PE to each other one, for every pair of rows; and the fuller of the two then.
        moved = held[pe][:, None, None] - held[None]
        fuller = np.maximum(loads[pe] - moved, loads[None, :, None] + moved)
        fuller[:, table < 0] = loads[pe]
        fuller[table[pe] < 0] = loads[pe]
        fuller[:, pe] = loads[pe]
        mine, other, theirs = np.unravel_index(int(fuller.argmin()), fuller.shape)
        if fuller[mine, other, theirs] >= loads[pe]:
            return
        difference = moved[mine, other, theirs]
        for values in (table, held):
            values[pe, mine], values[other, theirs] = values[other, theirs], values[pe, mine]
        loads[pe] -= difference
        loads[other] += difference


def reorder_layer(layer: Layer, columns: NDArray[np.intp], place: NDArray[np.intp], order: NDArray[np.intp]) -> Layer:
    """Return a layer whose column j is column `columns[j]`, empty if that is C, and whose row `place[r]` is row r."""
    return layer.with_terms(
        (_reorder_term(term, columns, place) for term in layer.terms),
        columns=len(columns),
        bias=layer.bias[order],
        scaling=layer.scaling and layer.scaling.reordered(order),
    )


def _reorder_term(term: Term, columns: NDArray[np.intp], place: NDArray[np.intp]) -> Term:
    ends = np.append(term.column_starts, len(term.codes))
    lengths = np.diff(ends)[columns]
    starts = np.concatenate(([0], np.cumsum(lengths)))
    source = np.arange(starts[-1]) + np.repeat(ends[:-1][columns] - starts[:-1], lengths)
    rows = place[term.row_indices[source]]
    # A cell's number may be larger than an index of a 32-bit processor.
    cells = np.repeat(np.arange(len(columns), dtype=np.int64) * len(place), lengths) + rows
    within = np.argsort(cells)
    return Term(starts, rows[within], term.codes[source[within]], term.codebook)
