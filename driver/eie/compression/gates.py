"""Gates of a recurrent layer that share their values: the array multiplies them together (`eie.program.gates`)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.compression.compensation import Compensated
from eie.compression.layers import fixed_point
from eie.compression.recurrent import gate_format
from eie.network.cells import CELLS, STATE_BITS, Cell
from eie.network.graph_model import ArrayProduct
from eie.network.linear_maps import LinearNode
from eie.network.model import Model
from eie.network.operators.linear import Matrix

_OF_ROWS = ("weight", "bias", "mask", "codes", "shared_bias", "units")
"""What `Compensated` has of each row."""


def gates_alike(cell: Cell, terms: Sequence[int], shared: bool = True) -> list[range]:
    """Return the gates of all directions of a layer, those together that share values.

    These are neighbours with the same operands and number of terms.
    """
    kinds = [(gate.operands, number) for gate, number in zip(itertools.cycle(cell.gates), terms, strict=False)]
    starts = [i for i in range(len(terms)) if not shared or i % len(cell.gates) == 0 or kinds[i] != kinds[i - 1]]
    return [range(start, end) for start, end in itertools.pairwise([*starts, len(terms)])]


def groups_of_gates(linear: LinearNode, terms: Mapping[str, int], shared: bool) -> list[range]:
    """Return the gates of a recurrent node, those together that share values."""
    return gates_alike(CELLS[linear.attributes["cell"]], [terms[name] for name in linear.names], shared)


def factors_of_columns(linear: LinearNode, number: int) -> NDArray[np.float32]:
    """Return what the weights of each column of a gate were multiplied by, shape (C,): see `gate_matrices`."""
    attributes, columns = linear.attributes, linear.matrices[number].weight.shape[1]
    gates, size = CELLS[attributes["cell"]].gates, attributes["hidden_size"]
    operands = gates[number % len(gates)].operands
    sizes = [columns - size * (len(operands) - 1) if name == "x" else size for name in operands]
    factors = [2.0 ** (STATE_BITS - attributes["input_bits"]) if name == "x" else 1.0 for name in operands]
    return np.repeat(np.array(factors, np.float32), sizes)


def stacked(matrices: Sequence[Matrix]) -> Matrix:
    """Return the matrix of all rows of some gates."""
    biases = [np.zeros(len(matrix.weight)) if matrix.bias is None else matrix.bias for matrix in matrices]
    weight = np.concatenate([matrix.weight for matrix in matrices])
    return Matrix(weight, np.concatenate(biases).astype(weight.dtype))


def parts_of(chosen: Compensated, count: int) -> list[Compensated]:
    """Return what was chosen for each of so many matrices below each other."""

    def split(rows: NDArray | None) -> list[Any]:
        return [None] * count if rows is None else np.split(rows, count)

    each = zip(*(split(getattr(chosen, name)) for name in _OF_ROWS), strict=True)
    return [replace(chosen, **dict(zip(_OF_ROWS, part, strict=True))) for part in each]


def joined(parts: Sequence[Compensated]) -> Compensated:
    """Return what was chosen for matrices that share codebooks as that of one, below each other."""
    fields = [name for name in _OF_ROWS if getattr(parts[0], name) is not None]
    return replace(parts[0], **{name: np.concatenate([getattr(part, name) for part in parts]) for name in fields})


def products_of_gates(linear: LinearNode, gates: range, chosen: Sequence[Compensated]) -> dict[str, ArrayProduct]:
    """Return the products of gates by name; those of gates that share values have the same integers in codebooks."""
    each = [(part, gate_format(linear, gate), linear.names[gate]) for gate, part in zip(gates, chosen, strict=True)]
    layers = [fixed_point(part, False, *form, name) for part, form, name in each if form]
    if len(gates) > 1:
        bits = min(layer.weight_fraction_bits for layer in layers)
        layers = [fixed_point(part, False, *form, name, bits) for part, form, name in each if form]
    return {layer.name: ArrayProduct(Model([layer], layer.name)) for layer in layers}
