"""How fast a board runs a network: latency and frames a second, layer by layer, and what bounds them.

The packed program runs on `TimedDevice`, whose cycles are those of the hardware. What a host adds between transfers
(filling buffers, starting the DMA, waiting) is not in it.
"""

from __future__ import annotations

import numbers
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eie.arguments import real_array, require_type, whole_number
from eie.boards.board import Board
from eie.boards.board import board as board_by_name
from eie.boards.memory_port import supply
from eie.contract import isa
from eie.contract.config import ArrayConfig
from eie.contract.fixed_point import as_activations, quantise
from eie.cycle_model.estimate import Estimate
from eie.cycle_model.parts import TimedRun, layer_estimate
from eie.cycle_model.program import ProgramTiming
from eie.cycle_model.recurrent import recurrent_run
from eie.cycle_model.timed_device import TimedDevice
from eie.data.frozen_random import frozen_random
from eie.errors import ConfigError, PackError
from eie.network.model import Layer, Model
from eie.network.recurrent_model import RecurrentModel
from eie.program.packing import PackedModel, pack
from eie.program.recurrent import pack_recurrent
from eie.program.segment import Segment, inferences_per_transfer
from eie.program.tile_sharing import expected_cycles

TYPICAL_DENSITY = 0.35
"""Non-zeros among the activations of the paper's layers (Han et al., ISCA 2016, Table III: 35 to 41 % of most)."""
_BATCH = {True: 16, False: 4}
"""Random inputs by default, of a resident and of a streamed network: in a streamed one all inferences are alike."""


def estimate(
    model: Model | Layer | RecurrentModel,
    board: str | Board | ArrayConfig = "pynq-z2",
    activations: ArrayLike | None = None,
    *,
    clock_mhz: float | None = None,
    bytes_per_cycle: float | None = None,
    density: float = TYPICAL_DENSITY,
    batch: int | None = None,
    seed: int = 0,
) -> Estimate:
    """Predict how fast an array runs a network.

    Parameters
    ----------
    model : Model, Layer or RecurrentModel
    board : str, Board or ArrayConfig
        A board's name or description, or an array of one's own.
    activations : array_like, shape (B, C) or (C,), optional
        Inputs: int16 as they are, floats quantised. Default: random ones. Of a recurrent model the time steps of a
        sequence.
    clock_mhz : float, optional
        Default: the board's; for an array, 100.
    bytes_per_cycle : float, optional
        What the DMA brings per cycle of that clock. Default: the stream's width, or what the board's port and memory
        bring of it (`eie.boards.memory_port`); of an array, its stream's width.
    density : float
        Non-zeros among random inputs, above 0 to 1. Later layers get what the network makes of them.
    batch : int, optional
        Number of random inputs; default 16, or 4 where the weights are streamed. Of given ones, all are used.
    seed : int
        Of random inputs.

    Returns
    -------
    Estimate

    Raises
    ------
    ConfigError
        If there is no such board, or a number is out of its range.
    PackError
        If the activations do not fit the model.

    Examples
    --------
    >>> print(eie.estimate(eie.load("lenet.eie"), "pynq-z2").table())
    """
    kinds = (Model, Layer, RecurrentModel)
    require_type(model, kinds, "model", "an eie.Model, eie.Layer or eie.RecurrentModel", PackError)
    require_type(board, (str, Board, ArrayConfig), "board", "a board, its name or an eie.ArrayConfig", ConfigError)
    model = Model([model], name=model.name) if isinstance(model, Layer) else model
    board = board_by_name(board) if isinstance(board, str) else board
    config = board if isinstance(board, ArrayConfig) else board.config
    if clock_mhz is None:
        clock_mhz = 100 if isinstance(board, ArrayConfig) else board.clock_mhz
    _require("clock_mhz", clock_mhz, 0, 10_000)
    limit = "stream"
    if bytes_per_cycle is None:
        bytes_per_cycle = config.flit_bytes
        if isinstance(board, Board):
            brought = supply(replace(board, clock_mhz=clock_mhz))
            bytes_per_cycle, limit = brought.bytes_per_cycle, brought.limit
    _require("bytes_per_cycle", bytes_per_cycle, 0, config.flit_bytes)
    _require("density", density, 0, 1)
    if batch is not None and whole_number(batch, "batch", ConfigError) < 1:
        raise ConfigError(f"batch is {batch}; it must be 1 or more")
    packed = pack_recurrent(model, config) if isinstance(model, RecurrentModel) else pack(model, config)
    if activations is None:
        a = _random_activations(model, density, _BATCH[packed.resident] if batch is None else batch, seed)
    else:
        a = _given_activations(model, activations)
    device = TimedDevice(config, bytes_per_cycle)
    return Estimate(
        model=model.name,
        board="" if isinstance(board, ArrayConfig) else board.title,
        config=config,
        clock_mhz=clock_mhz,
        bytes_per_cycle=bytes_per_cycle,
        supply_limit=limit,
        resident=packed.resident,
        load_cycles=device.load(packed.weights),
        batch=len(a),
        **(_chain_run(packed, device, a) if isinstance(packed, PackedModel) else recurrent_run(packed, device, a)),
    )


def _chain_run(packed: PackedModel, device: TimedDevice, a: NDArray[np.int16]) -> dict[str, Any]:
    """Return the fields of an `Estimate` that runs of a chain of layers tell."""
    of_batch = packed.for_batch(len(a))
    alone, together = _Run(device, packed), _Run(device, of_batch)
    alone.run(a[:1])
    together.run(a)
    tiles = [sum(len(row_tile.tiles) for row_tile in row_tiles) for row_tiles in packed.row_tiles]
    return {
        **together.totals(),
        "latency_cycles": alone.cycles,
        "shared": of_batch.segments[0].inferences if of_batch.segments[0].shared else 1,
        "choices": {} if packed.resident else expected_cycles(packed.model, packed.config, len(a)),
        "layers": tuple(
            layer_estimate(
                layer.name or f"layer {i}",
                (layer.rows, layer.columns),
                tiles[i],
                alone.parts[i],
                together.parts[i],
                len(a),
            )
            for i, layer in enumerate(packed.model.layers)
        ),
    }


def _require(name: str, value: float, above: float, limit: float) -> None:
    if not isinstance(value, numbers.Real) or not above < value <= limit:
        raise ConfigError(f"{name} is {value}; it must lie above {above} and at most at {limit}")


def _random_activations(model: Model | RecurrentModel, density: float, batch: int, seed: int) -> NDArray[np.int16]:
    """Return standard normal values in the model's fixed point, and zeros."""
    rng = frozen_random(seed)
    values = quantise(rng.standard_normal((batch, model.columns)), model.input_fraction_bits)
    values[values == 0] = 1
    return (values * (rng.random_sample(values.shape) < density)).astype(np.int16)


def _given_activations(model: Model | RecurrentModel, activations: ArrayLike) -> NDArray[np.int16]:
    given = real_array(activations, "activations", PackError)
    given = given[None] if given.ndim == 1 else given
    if given.ndim != 2 or given.shape[1] != model.columns or not len(given):
        raise PackError(
            f"activations have shape {np.shape(activations)}; {model.name!r} takes (at least 1, {model.columns})"
        )
    if given.dtype.kind == "f":
        return quantise(given, model.input_fraction_bits)
    return as_activations(given, model.columns)


class _Run(TimedRun):
    """A batch on a timed device, in the transfers in which the driver sends it."""

    def __init__(self, device: TimedDevice, packed: PackedModel) -> None:
        super().__init__(device, len(packed.model.layers))
        self.packed = packed

    def run(self, activations: NDArray[np.int16]) -> None:
        """Run a batch through all segments."""
        for segment in self.packed.segments:
            outputs = np.empty((len(activations), segment.rows), np.int16)
            step = inferences_per_transfer(segment, len(activations))
            for first in range(0, len(activations), step):
                part = slice(first, first + step)
                program, outputs[part] = self.transfer(segment, activations[part])
                self._share_out(segment, program, len(activations[part]))
            activations = outputs

    def _share_out(self, segment: Segment, program: ProgramTiming, batch: int) -> None:
        """Give each layer its instructions, and the cycles from the end of what was stored before to its own end.

        A layer of an inference ends with the STORE of its last row tile; READs belong to the last layer, and so does
        all until they have left.
        """
        together = segment.inferences
        units = [together] * (batch // together) + [batch % together] * (batch % together > 0)
        stores = [
            (index, tile is self.packed.row_tiles[index][-1])
            for inferences in units
            for index in segment.layers
            for _, tile in segment.in_turn(self.packed.row_tiles[index], range(inferences))
        ]
        final = segment.layers.stop - 1
        program.finish()
        position = before = 0
        for step in program.steps:
            index, ends = stores[position] if position < len(stores) else (final, False)
            self.parts[final if step.instruction is isa.READ else index].add(step)
            if step.instruction is isa.STORE:
                position += 1
                if ends:
                    self.parts[index].cycles += step.end - before
                    before = step.end
        self.parts[final].cycles += program.finish() - before
