"""A compressed recurrent layer and its integer reference.

It is no part of a graph or of a model file yet: a node of a graph that becomes one runs by
`eie.runtime.recurrent.run_sequences` on what `eie.program.recurrent.pack_recurrent` makes of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.contract.functions import elementwise
from eie.errors import LayerError, PackError
from eie.network.cells import CELLS, Cell, Gate
from eie.network.limits import check_name
from eie.network.model import Layer
from eie.network.reference import reference_layer

MOST_STATE_BITS = 14
"""Fraction bits of inputs and hidden state at most: their differences, -2 to 2, must fit int16."""


@dataclass(frozen=True, eq=False, repr=False)
class RecurrentModel:
    """A compressed recurrent layer.

    Parameters
    ----------
    kind : {"lstm", "gru", "gru, reset before"}
    columns, hidden : int
        C inputs, H outputs of a time step.
    layers : sequence of Layer
        The gates, in the order of the cell's steps (`CELLS`), their columns in that of their operands.
    name : str
    metadata : dict

    Raises
    ------
    LayerError
        If a layer does not fit its gate.
    """

    kind: str
    columns: int
    hidden: int
    layers: tuple[Layer, ...]
    name: str = "model"
    metadata: dict[str, Any] = field(default_factory=dict)

    def __init__(
        self,
        kind: str,
        columns: int,
        hidden: int,
        layers: Iterable[Layer],
        name: str = "model",
        metadata: dict[str, Any] | None = None,
    ) -> None:
        check_name(name, "name of a model")
        if kind not in CELLS:
            raise LayerError(f"kind {kind!r} of a recurrent model is not one of {', '.join(map(repr, CELLS))}")
        for attribute, value in (("kind", kind), ("columns", columns), ("hidden", hidden), ("layers", tuple(layers))):
            object.__setattr__(self, attribute, value)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "metadata", dict(metadata or {}))
        gates = self.cell.gates
        if len(self.layers) != len(gates):
            raise LayerError(f"model {name!r}: {len(self.layers)} layers; a cell {kind!r} has {len(gates)} gates")
        bits = self.layers[0].input_fraction_bits
        if not 0 <= bits <= MOST_STATE_BITS:
            raise LayerError(f"model {name!r}: inputs of {bits} fraction bits; 0 to {MOST_STATE_BITS} are possible")
        for layer, gate in zip(self.layers, gates, strict=True):
            wanted = (hidden, sum(self.size(operand) for operand in gate.operands), bits, gate.fraction_bits, False)
            given = (layer.rows, layer.columns, layer.input_fraction_bits, layer.output_fraction_bits, layer.relu)
            if given != wanted:
                raise LayerError(
                    f"model {name!r}: gate {gate.target!r} has (rows, columns, input and output fraction bits, ReLU) "
                    f"{given}; it must have {wanted}"
                )

    def __repr__(self) -> str:
        weights = sum(layer.nonzeros for layer in self.layers)
        return f"<RecurrentModel {self.name!r}: {self.kind}, {self.columns} -> {self.hidden}, {weights} weights>"

    @property
    def cell(self) -> Cell:
        """What a time step computes."""
        return CELLS[self.kind]

    @property
    def rows(self) -> int:
        """Outputs of a time step."""
        return self.hidden

    @property
    def fraction_bits(self) -> int:
        """Fraction bits of inputs, hidden state and outputs."""
        return self.layers[0].input_fraction_bits

    def size(self, vector: str) -> int:
        """Return the length of a vector of the cell."""
        return self.columns if vector == "x" else self.hidden

    def zero_states(self, batch: int) -> NDArray[np.int16]:
        """Return the states that a sequence begins with, int16, shape (batch, states, H)."""
        return np.zeros((batch, len(self.cell.states), self.hidden), np.int16)


def reference_sequence(
    model: RecurrentModel, inputs: NDArray[np.int16], states: NDArray[np.int16]
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Compute sequences in exact integers.

    Parameters
    ----------
    model : RecurrentModel
    inputs : ndarray, shape (B, T, C), int16
    states : ndarray, shape (B, states, H), int16

    Returns
    -------
    outputs : ndarray, shape (B, T, H), int16
    states : ndarray, shape (B, states, H), int16
        At the end.
    """
    if inputs.ndim != 3 or inputs.shape[2] != model.columns:
        raise PackError(f"sequences have shape {inputs.shape}; model {model.name!r} takes (B, T, {model.columns})")
    values = dict(zip(model.cell.states, np.moveaxis(states, 1, 0), strict=True))
    outputs = np.empty((*inputs.shape[:2], model.hidden), np.int16)
    for time in range(inputs.shape[1]):
        values["x"] = inputs[:, time]
        layers = iter(model.layers)
        for step in model.cell.steps:
            if isinstance(step, Gate):
                operands = np.concatenate([values[name] for name in step.operands], axis=1)
                values[step.target] = reference_layer(next(layers), operands)
            else:
                source = values[step.source]
                before = values.get(step.target, source)
                values[step.target] = elementwise(step.operation, before, source, step.shift_for(model.fraction_bits))
        outputs[:, time] = values[model.cell.states[0]]
    return outputs, np.stack([values[name] for name in model.cell.states], axis=1)
