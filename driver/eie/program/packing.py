"""From a model to the bytes that a device executes.

A model whose tiles fit the free part of the on-chip memories becomes resident: its weights are sent once, an
inference sends activations only. Otherwise its weights travel with every inference, tile by tile through
alternating banks, so that one loads while the other computes; in a batch, several inferences share each tile.

Hidden rows that the layer after them does not read are left out, and inputs before the first and behind the last that
some weight multiplies: outputs are the same without them.

Layers follow one another on chip as long as a layer's input and output fit the activation memory together; where
they do not, the model is cut into segments between which activations pass through the host. A layer too large
even alone takes its input in chunks, or gives its output row tile by row tile.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from eie.arguments import require_type
from eie.contract.config import ArrayConfig
from eie.errors import PackError
from eie.network.model import Model
from eie.network.unused import used_rows, with_rows
from eie.program.memory import Memory
from eie.program.plan import plan_segments
from eie.program.segment import Segment
from eie.program.sent_inputs import sent_inputs, with_inputs
from eie.program.tile_sharing import choose_shared
from eie.program.tiling import RowTile, tile_model
from eie.program.weights import Streamed, make_resident
from eie.program.writer import Writer


@dataclass(frozen=True, eq=False)
class PackedModel:
    """A model in the bytes of a device.

    Parameters
    ----------
    given : Model
    model : Model
        What is computed: the given model without hidden rows that nobody reads.
    config : ArrayConfig
    weights : ndarray, uint64
        Program that makes the model resident; empty if its weights travel with every inference.
    segments : tuple of Segment
    resident : bool
    memory : Memory
        What is free once the model is loaded. A model that is not resident needs the array to itself.
    row_tiles : tuple, per layer a tuple of RowTile
    places : tuple, per layer ndarray, shape (R,)
        The row of the array that each row of the layer has become (`eie.program.balancing`); empty if it is its own.
    rows : tuple, per layer ndarray, shape (R,)
        The row of the given model's layer that each row is.
    inputs : range
        The inputs that are sent (`eie.program.sent_inputs`).
    """

    given: Model
    model: Model
    config: ArrayConfig
    weights: NDArray[np.uint64]
    segments: tuple[Segment, ...]
    resident: bool
    memory: Memory
    row_tiles: tuple[tuple[RowTile, ...], ...]
    places: tuple[NDArray[np.intp], ...]
    rows: tuple[NDArray[np.intp], ...]
    inputs: range
    _shared: dict[int, PackedModel] = field(default_factory=dict)

    def for_batch(self, batch: int) -> PackedModel:
        """Return the same model in the form that a batch runs fastest in.

        What is resident has one form. Streamed weights are shared by several inferences of a batch, at the price of
        smaller row tiles (`eie.program.tile_sharing`).
        """
        shared = 1 if self.resident else choose_shared(self.model, self.config, batch)
        if shared == 1:
            return self
        if shared not in self._shared:
            self._shared[shared] = pack(self.given, self.config, shared=shared)
        return self._shared[shared]


def pack(model: Model, config: ArrayConfig, memory: Memory | None = None, shared: int = 1) -> PackedModel:
    """Pack a model for an array.

    Parameters
    ----------
    model : Model
    config : ArrayConfig
    memory : Memory, optional
        What other resident models leave free; default: everything.
    shared : int
        1, 2 or 4: inferences that share each tile of streamed weights; more than 1 streams them in any case
        (`PackedModel.for_batch` chooses).

    Returns
    -------
    PackedModel

    Raises
    ------
    PackError
        If the model does not fit the array, or either is not what it must be.
    """
    require_type(model, Model, "model", "an eie.Model", PackError)
    require_type(config, ArrayConfig, "config", "an eie.ArrayConfig", PackError)
    used = used_rows(model)
    given, model = model, with_rows(model, used)
    inputs = sent_inputs(model.layers[0], config)
    sent = with_inputs(model, inputs)
    plans = plan_segments(sent, config, shared)
    limits = [(plan.max_local_rows, plan.max_groups) for plan in plans for _ in plan.layers]
    ordered, places, row_tiles = tile_model(sent, config, limits, by_lengths=shared > 1)
    free = (memory or Memory(config)).copy()
    resident = make_resident(ordered.layers, config, row_tiles, free) if shared == 1 else None
    weights = np.concatenate(resident.loads) if resident else np.zeros(0, np.uint64)
    source = resident or Streamed(config)
    segments = [Writer(ordered, config, plan, row_tiles, source).segment() for plan in plans]
    segments[0] = segments[0].of_more_inputs(model.columns, inputs.start)
    if places:
        segments[-1] = replace(segments[-1], places=places[-1])
    return PackedModel(
        given,
        model,
        config,
        weights,
        tuple(segments),
        resident is not None,
        source.memory if resident else Memory(config),
        row_tiles,
        places,
        tuple(map(np.flatnonzero, used)),
        inputs,
    )
