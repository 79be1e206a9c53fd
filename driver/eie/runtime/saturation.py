"""How many numbers of a run are lost to saturation, or lie at the ends of int16, where larger ones look the same."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eie.contract.fixed_point import ACTIVATION_MAX, ACTIVATION_MIN
from eie.errors import AccuracyWarning
from eie.network.graph_model import GraphModel
from eie.network.model import Model
from eie.network.recurrent_model import RecurrentModel
from eie.network.reference import reference_layer


@dataclass(frozen=True)
class Saturation:
    """Values at the ends of their range in one run, or in several added up.

    Parameters
    ----------
    inputs : int
        Of the input activations.
    outputs : tuple of int or None
        Of each layer's outputs; None of a layer between whose outputs stayed on the array, unless they were verified.
    lost : int
        Outputs of all layers that the array's counter `saturated` says are lost. Of a recurrent layer 0: most of what
        its gates lose are arguments of sigmoid and tanh, which are flat there.
    """

    inputs: int
    outputs: tuple[int | None, ...]
    lost: int = 0

    @property
    def known(self) -> int:
        """All that are known."""
        return self.inputs + sum(count or 0 for count in self.outputs) + self.between

    @property
    def between(self) -> int:
        """Lost outputs of the layers between of which no count is known, at least: the last layer's may be others."""
        if None not in self.outputs:
            return 0
        return max(0, self.lost - sum(count or 0 for count in self.outputs))

    def __add__(self, other: Saturation) -> Saturation:
        pairs = zip(self.outputs, other.outputs, strict=True)
        return Saturation(
            self.inputs + other.inputs,
            tuple(None if a is None or b is None else a + b for a, b in pairs),
            self.lost + other.lost,
        )

    def text(self, names: Sequence[str]) -> str:
        """Return where values saturated, in one line; empty if they did nowhere that is known."""
        parts = [f"{self.inputs:,} inputs"] if self.inputs else []
        parts += [
            f"{count:,} outputs of layer {repr(name) if name else index}"
            for index, (count, name) in enumerate(zip(self.outputs, names, strict=True))
            if count
        ]
        parts += [f"{self.between:,} outputs of layers between"] if self.between else []
        return f"saturated: {', '.join(parts)}" if parts else ""


def warn_of(saturation: Saturation, model: Model | GraphModel | RecurrentModel, vectors: int) -> None:
    """Warn of a run of so many vectors in which values saturated."""
    text = saturation.text([layer.name for layer in model.layers])
    warnings.warn(
        f"model {model.name!r}: {text}, of {vectors} vectors; what saturates is lost: calibrate with typical inputs, "
        "scale the inputs, or compress with more headroom",
        AccuracyWarning,
        stacklevel=4,
    )


def saturated_outputs(
    model: Model, inputs: NDArray[np.int16] | None, outputs: NDArray[np.int16]
) -> tuple[int | None, ...]:
    """Count the saturated outputs of every layer; those between by the integer reference, if inputs are given."""
    hidden: list[int | None] = [None] * (len(model.layers) - 1)
    if inputs is not None:
        for index, layer in enumerate(model.layers[:-1]):
            inputs = reference_layer(layer, inputs)
            hidden[index] = at_the_ends(inputs)
    return (*hidden, at_the_ends(outputs))


def at_the_ends(values: NDArray[np.int16]) -> int:
    """Count values at the ends of int16."""
    return int(np.count_nonzero(values == ACTIVATION_MAX) + np.count_nonzero(values == ACTIVATION_MIN))
