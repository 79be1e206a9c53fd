"""What nobody reads is not computed: hidden outputs whose column in the next layer is empty.

Pruning empties columns. The rows of the layer before that end there change no output of the network: without them it
has fewer weights, and fewer activations to store and to broadcast.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eie.arguments import require_type
from eie.errors import LayerError
from eie.network.model import Layer, Model
from eie.network.term import Term


def without_unused_rows(model: Model) -> Model:
    """Return the same function without the hidden rows that the layer after them does not read.

    From the last layer to the first, so that rows also go that only such rows read. Inputs and outputs stay as they
    are; a layer of which nothing is read keeps its first row.

    Parameters
    ----------
    model : Model

    Returns
    -------
    Model
        With the same name and metadata; the model itself if all its rows are read.

    Raises
    ------
    LayerError
        If `model` is no `Model`.

    Examples
    --------
    >>> eie.save(without_unused_rows(eie.load("lenet.eie")), "smaller.eie")
    """
    require_type(model, Model, "model", "an eie.Model, a chain of layers", LayerError)
    return with_rows(model, used_rows(model))


def with_rows(model: Model, used: list[NDArray[np.bool_]]) -> Model:
    """Return a model of some rows of each layer, given as masks, shape (R,) each, and of the columns that these are."""
    if all(rows.all() for rows in used):
        return model
    columns = [np.ones(model.columns, bool), *used]
    layers = [select(layer, used[i], columns[i]) for i, layer in enumerate(model.layers)]
    return Model(layers, model.name, model.metadata)


def used_rows(model: Model) -> list[NDArray[np.bool_]]:
    """Return which rows of each layer are left, shape (R,) each, by the rule of `without_unused_rows`."""
    used = [np.ones(layer.rows, bool) for layer in model.layers]
    for index in range(len(model.layers) - 1, 0, -1):
        used[index - 1] = columns_read(model.layers[index], used[index])
    return used


def columns_read(layer: Layer, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which columns some rows, given as a mask, have weights in, shape (C,); the first if that is none."""
    read = np.zeros(layer.columns, bool)
    for term in layer.terms:
        read[term.column_indices()[rows[term.row_indices]]] = True
    read[0] |= not read.any()
    return read


def select(layer: Layer, rows: NDArray[np.bool_], columns: NDArray[np.bool_]) -> Layer:
    """Return some rows and columns of a layer, given as masks of shape (R,) and (C,)."""
    return layer.with_terms(
        (_select_of_term(term, rows, columns) for term in layer.terms),
        rows=int(rows.sum()),
        columns=int(columns.sum()),
        bias=layer.bias[rows],
        scaling=layer.scaling and layer.scaling.reordered(np.flatnonzero(rows)),
    )


def _select_of_term(term: Term, rows: NDArray[np.bool_], columns: NDArray[np.bool_]) -> Term:
    column = term.column_indices()
    kept = rows[term.row_indices] & columns[column]
    number = np.cumsum(rows) - 1
    counts = np.bincount(column[kept], minlength=len(columns))[columns]
    starts = np.concatenate(([0], np.cumsum(counts, dtype=np.intp)))
    return Term(starts, number[term.row_indices[kept]].astype(np.int32), term.codes[kept], term.codebook)
