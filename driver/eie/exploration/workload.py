"""What an exploration computes for each array: the cycle model over a fixed model and fixed activations.

All arrays that differ only in timing share one packing, and all share what the layers compute, which no array changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eie.arguments import require_type
from eie.contract.config import ArrayConfig
from eie.cycle_model.layers import TIMING_ONLY, LayerCycles, layer_inputs, packed_cycles
from eie.errors import EieError, PackError
from eie.network.model import Layer, Model
from eie.network.unused import without_unused_rows
from eie.program.packing import pack
from eie.version import code_version


@dataclass(frozen=True)
class Workload:
    """A model and what each of its layers is given.

    Parameters
    ----------
    model : Model
        As it is packed.
    inputs : tuple of ndarray, int16, shape (B, C) of each layer
    digest : str
        Hash of the model as it was given, and of its input.
    """

    model: Model
    inputs: tuple[NDArray[np.int16], ...]
    digest: str

    @classmethod
    def of(cls, model: Model | Layer, activations: ArrayLike) -> Workload:
        """Return a model with its input, int16, shape (B, C) or (C,)."""
        require_type(model, (Model, Layer), "model", "an eie.Model or eie.Layer", PackError)
        model = Model([model], name=model.name or "layer") if isinstance(model, Layer) else model
        # What is packed is without hidden rows that nobody reads.
        computed = without_unused_rows(model)
        inputs = layer_inputs(computed, activations)
        if not len(inputs[0]):
            raise EieError("activations hold no input; at least one is needed")
        return cls(computed, inputs, _digest(model, inputs[0]))

    @property
    def inferences(self) -> int:
        """Inputs."""
        return len(self.inputs[0])


def packing_of(config: ArrayConfig) -> ArrayConfig:
    """Return the array that stands for all that pack a model in the same way."""
    default = ArrayConfig()
    return replace(config, **{name: getattr(default, name) for name in TIMING_ONLY})


def evaluate(
    workload: Workload, configs: Sequence[ArrayConfig], version: str | None = None
) -> list[dict[str, Any] | str]:
    """Return what a workload costs on arrays that pack it in the same way.

    Parameters
    ----------
    workload : Workload
    configs : sequence of ArrayConfig
        Equal but for `TIMING_ONLY`.
    version : str, optional
        `code_version` that the answer is asked of.

    Returns
    -------
    list of dict or str
        For each array the measured columns of `eie.exploration.results`; or why it cannot run the model.

    Raises
    ------
    EieError
        If this is another version of the package.
    """
    if version not in (None, code_version()):
        raise EieError(
            f"a worker has version {code_version()} of eie, the exploration {version}: install the same on both"
        )
    try:
        packed = pack(workload.model, configs[0])
    except EieError as error:
        return [str(error)] * len(configs)
    sent = packed.for_batch(workload.inferences).segments
    words = sum(segment.words(workload.inferences) for segment in sent)
    of_packing = {"stream_words": words, "resident": packed.resident}
    return [_cost(packed_cycles(packed, workload.inputs, config), of_packing) for config in configs]


def _cost(layers: Sequence[LayerCycles], of_packing: dict[str, Any]) -> dict[str, Any]:
    totals = {name: sum(getattr(layer, name) for layer in layers) for name in ("cycles", "broadcasts", "useful")}
    over_pes = ("work", "padding", "starved", "blocked")
    per_pe = {name: sum(int(getattr(layer, name).sum()) for layer in layers) for name in over_pes}
    pe_cycles = len(layers[0].work) * totals["cycles"]
    return {
        "cycles": totals["cycles"],
        **of_packing,
        "broadcasts": totals["broadcasts"],
        "useful": totals["useful"],
        **{name: per_pe[name] for name in ("padding", "starved", "blocked")},
        "utilisation": totals["useful"] / pe_cycles,
        "load_balance": (per_pe["work"] + per_pe["padding"]) / pe_cycles,
    }


def _digest(model: Model, activations: NDArray[np.int16]) -> str:
    digest = hashlib.sha256()
    for layer in model.layers:
        digest.update(f"{layer.rows} {layer.columns} {layer.shift} {layer.relu};".encode())
        if layer.scaling:
            digest.update(f"{layer.scaling.pre_shift} {layer.scaling.low} {layer.scaling.high};".encode())
            digest.update(layer.scaling.scale.tobytes())
        arrays: list[NDArray[Any]] = [layer.bias]
        for term in layer.terms:
            arrays += [term.column_starts, term.row_indices, term.codes, term.codebook]
        for array in arrays:
            digest.update(f"{array.dtype.str} {array.shape};".encode() + np.ascontiguousarray(array).tobytes())
    digest.update(f"{activations.shape};".encode() + np.ascontiguousarray(activations).tobytes())
    return digest.hexdigest()[:16]
