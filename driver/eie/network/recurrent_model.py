"""A compressed recurrent layer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.arguments import whole_number
from eie.contract.fixed_point import dequantise, quantise
from eie.errors import LayerError
from eie.network.cells import CELLS, STATE_BITS, Cell
from eie.network.equality import same
from eie.network.limits import ACTIVATION_FRACTION_BITS, check_name, metadata_text
from eie.network.model import Layer, layers_of


@dataclass(frozen=True, eq=False, repr=False)
class RecurrentModel:
    """A compressed recurrent layer.

    Parameters
    ----------
    kind : str
        A key of `CELLS`: "lstm", "lstm, cell state to 16" and so on, "gru", "gru, reset before".
    layers : sequence of Layer
        The gates, in the order of the cell's steps (`CELLS`), their columns in that of their operands.
    input_fraction_bits : int
        Of the inputs, whose weights are scaled so that they act as if they had the fraction bits of the states.
    name : str
    metadata : dict
        As a `Model`'s.

    Raises
    ------
    LayerError
        If a layer does not fit its gate.
    """

    kind: str
    layers: tuple[Layer, ...]
    input_fraction_bits: int = STATE_BITS
    name: str = "model"
    metadata: dict[str, Any] = field(default_factory=dict)

    def __init__(
        self,
        kind: str,
        layers: Iterable[Layer],
        input_fraction_bits: int = STATE_BITS,
        name: str = "model",
        metadata: dict[str, Any] | None = None,
    ) -> None:
        check_name(name, "name of a model")
        if not isinstance(kind, str) or kind not in CELLS:
            raise LayerError(f"kind {kind!r} of a recurrent model is not one of {', '.join(map(repr, CELLS))}")
        input_fraction_bits = whole_number(input_fraction_bits, "input_fraction_bits", LayerError)
        least, most = ACTIVATION_FRACTION_BITS
        if not least <= input_fraction_bits <= most:
            raise LayerError(f"model {name!r}: inputs of {input_fraction_bits} fraction bits; {least} to {most} exist")
        layers = layers_of(layers)
        metadata = {} if metadata is None else metadata
        metadata_text(metadata)
        given = {"kind": kind, "layers": layers, "input_fraction_bits": input_fraction_bits, "name": name}
        for attribute, value in {**given, "metadata": dict(metadata)}.items():
            object.__setattr__(self, attribute, value)
        gates = self.cell.gates
        if len(self.layers) != len(gates):
            raise LayerError(f"model {name!r}: {len(self.layers)} layers; a cell {kind!r} has {len(gates)} gates")
        if self.columns < 1:
            raise LayerError(f"model {name!r}: {self.layers[0].columns} columns leave no input beside {self.hidden}")
        for layer, gate in zip(self.layers, gates, strict=True):
            columns = sum(self.size(operand) for operand in gate.operands)
            wanted = (self.hidden, columns, STATE_BITS, gate.fraction_bits, False)
            found = (layer.rows, layer.columns, layer.input_fraction_bits, layer.output_fraction_bits, layer.relu)
            if found != wanted:
                raise LayerError(
                    f"model {name!r}: gate {gate.target!r} has (rows, columns, input and output fraction bits, ReLU) "
                    f"{found}; it must have {wanted}"
                )

    def __repr__(self) -> str:
        weights = sum(layer.nonzeros for layer in self.layers)
        return f"<RecurrentModel {self.name!r}: {self.kind}, {self.columns} -> {self.hidden}, {weights} weights>"

    def __eq__(self, other: object) -> bool:
        return same(self, other) if isinstance(other, RecurrentModel) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.name, self.kind, self.layers))

    @property
    def cell(self) -> Cell:
        """What a time step computes."""
        return CELLS[self.kind]

    @property
    def hidden(self) -> int:
        """H, outputs of a time step."""
        return self.layers[0].rows

    rows = hidden

    @property
    def columns(self) -> int:
        """C, inputs of a time step."""
        return self.layers[0].columns - self.hidden  # the first gate of every cell is one of [h, x]

    @property
    def output_fraction_bits(self) -> int:
        """Fraction bits of the outputs."""
        return self.cell.states[self.cell.output]

    def size(self, vector: str) -> int:
        """Return the length of a vector of the cell."""
        return self.columns if vector == "x" else self.hidden

    def zero_states(self, batch: int) -> NDArray[np.int16]:
        """Return the states that a sequence begins with, int16, shape (batch, states, H)."""
        return np.zeros((batch, len(self.cell.states), self.hidden), np.int16)

    def to_states(self, floats: NDArray[np.floating]) -> NDArray[np.int16]:
        """Return states, shape (batch, states, H), in their fixed point."""
        each = zip(np.moveaxis(floats, 1, 0), self.cell.states.values(), strict=True)
        return np.stack([quantise(state, bits) for state, bits in each], axis=1)

    def to_floats(self, states: NDArray[np.int16]) -> NDArray[np.float32]:
        """Return what states in their fixed point stand for."""
        each = zip(np.moveaxis(states, 1, 0), self.cell.states.values(), strict=True)
        return np.stack([dequantise(state, bits) for state, bits in each], axis=1)
