"""What an array takes of an FPGA, estimated in microseconds where synthesis takes minutes.

Memories and DSP slices follow from their shapes, the rest is fitted to arrays that Yosys has synthesised
(`scripts/fit_resources.py`; the arrays, what they took and the fit are in data/resource_fit.json). How good it is:
docs/explore.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eie.boards.board import Board
from eie.boards.fpga import device_of
from eie.contract import pipeline
from eie.contract.config import (
    ACCUMULATOR_BITS,
    ACTIVATION_BITS,
    ACTIVATIONS_PER_WORD,
    BIAS_BITS,
    CODEBOOK_SIZE,
    SCALE_BITS,
    WEIGHT_BITS,
    ArrayConfig,
)

FIT = "resource_fit.json"
FITTED = ("logic_luts", "memory_luts", "flip_flops")
"""Figures that are fitted: LUTs as logic and shift registers, LUTs as distributed RAM, flip-flops."""

BESIDES_RAMB36 = 3
"""Block RAMs of what an overlay holds besides the array, a round figure (AMD PG021): the buffers of AXI DMA."""

# Depth and width of a RAMB18 and of a RAMB36 with one write and one read port, and their cost in RAMB18 (AMD UG473).
_BLOCK_SHAPES = (
    *((depth, width, 1) for depth, width in ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))),
    *((depth, width, 2) for depth, width in ((512, 72), (1024, 36), (2048, 18), (4096, 9), (8192, 4), (16384, 2))),
    (32768, 1, 2),
)
_ULTRA_RAM_SHAPES = ((4096, 72, 1),)  # AMD UG573
# The same of distributed RAM, in LUTs (AMD UG474): with a read port of its own, and with one port for all.
_DUAL_PORT_SHAPES = ((32, 6, 4), (32, 1, 2), (64, 3, 4), (64, 1, 2), (128, 1, 4))
_SINGLE_PORT_SHAPES = ((64, 1, 1), (128, 1, 2), (256, 1, 4))


@dataclass(frozen=True)
class Resources:
    """Resources of an array, without what the block design holds besides it (AXI DMA, interconnects).

    Parameters
    ----------
    luts, flip_flops : int
    slicem_luts : int
        Those of the LUTs that are distributed RAM.
    ramb36 : float
        A RAMB18 is half a one.
    dsps, ultra_rams : int
    """

    luts: int
    slicem_luts: int
    flip_flops: int
    ramb36: float
    dsps: int
    ultra_rams: int = 0


@lru_cache(maxsize=1 << 16)
def estimate(config: ArrayConfig) -> Resources:
    """Return what an array takes of a 7-series device; UltraScale+ has the same LUTs and block RAMs, and UltraRAM."""
    fitted = {name: float(features(config)[name] @ coefficients) for name, coefficients in _coefficients().items()}
    return Resources(
        luts=round(fitted["logic_luts"] + fitted["memory_luts"]),
        slicem_luts=round(fitted["memory_luts"]),
        flip_flops=round(fitted["flip_flops"]),
        ramb36=_ramb18(config) / 2,
        dsps=config.num_pes + config.words_per_group,
        ultra_rams=config.num_pes * _entries(config, _ULTRA_RAM_SHAPES) if config.ultra_ram else 0,
    )


def fits(figures: Resources, board: Board) -> bool:
    """Return whether a board's device has that much."""
    return all(getattr(figures, name) <= limit for name, limit in device_of(board.part).limits.items())


def features(config: ArrayConfig) -> dict[str, NDArray[np.float64]]:
    """Return, for each figure of `FITTED`, what it is fitted to: counts that the structure of the array gives."""
    pes, lanes = config.num_pes, config.lanes
    pointers = pes * _column_bits(config)
    # Each word of a stream besides the first has its registers, its part of the gearbox and its sums of lengths.
    more_words = config.flit_words - 1
    return {
        "logic_luts": np.array([1, pes, lanes, pointers, _multiplexer_luts(config), more_words], float),
        "memory_luts": np.array([1, pes, _distributed_luts(config)], float),
        "flip_flops": np.array([1, pes, lanes, pointers, more_words], float),
    }


def fit(configs: list[ArrayConfig], measured: dict[str, ArrayLike]) -> dict[str, list[float]]:
    """Return the coefficients of the figures of `FITTED` that give the least relative error.

    Parameters
    ----------
    configs : list of ArrayConfig
    measured : dict
        What each took, by figure.
    """
    coefficients = {}
    for name in FITTED:
        values = np.asarray(measured[name], float)
        matrix = np.array([features(config)[name] for config in configs])
        # A small weight on large coefficients keeps those in bounds that few samples tell apart.
        scale = np.abs(matrix).max(axis=0)
        relative = matrix / scale / values[:, None]
        pull = 1e-3 * np.diag(np.abs(relative).max(axis=0))
        solution, *_ = np.linalg.lstsq(
            np.vstack([relative, pull]), np.r_[np.ones(len(values)), np.zeros(len(scale))], rcond=None
        )
        coefficients[name] = (solution / scale).tolist()
    return coefficients


@lru_cache(maxsize=1)
def _coefficients() -> dict[str, NDArray[np.float64]]:
    stored = json.loads(files("eie").joinpath("data").joinpath(FIT).read_text(encoding="utf-8"))
    return {name: np.array(stored["coefficients"][name]) for name in FITTED}


# Memories: those of a PE, of a lane of activations, and of the four PEs that share an output unit.


def _ramb18(config: ArrayConfig) -> int:
    pointers = 2 * _cheapest(config.banks * config.pointer_depth, config.pointer_bits, _BLOCK_SHAPES)
    entries = 0 if config.ultra_ram else _entries(config, _BLOCK_SHAPES)
    scales = _cheapest(ACTIVATIONS_PER_WORD * config.rows, config.scale_clusters * SCALE_BITS, _BLOCK_SHAPES)
    return config.num_pes * (pointers + entries) + config.scale_memories * scales


def _entries(config: ArrayConfig, shapes: tuple[tuple[int, int, int], ...]) -> int:
    return _cheapest(config.banks * config.entry_words, config.word_bits, shapes)


def _dual_port_memories(config: ArrayConfig) -> list[tuple[int, int, int]]:
    """Return number, depth and width of the distributed memories with a read port of their own."""
    return [
        (config.num_pes, config.rows, ACCUMULATOR_BITS),
        (config.num_pes, CODEBOOK_SIZE, WEIGHT_BITS),
        (config.num_pes, pipeline.queue_slots(config), _column_bits(config) + ACTIVATION_BITS),
        (config.lanes, config.activation_groups, ACTIVATION_BITS),
        (config.lanes, config.activation_groups, 1),
        (1, config.codebooks * CODEBOOK_SIZE * WEIGHT_BITS // config.stream_bits, config.stream_bits),
    ]


def _column_bits(config: ArrayConfig) -> int:
    """Return the bits that describe a column to a PE: where its entries begin and end, and its first row."""
    return config.start_bits + config.pointer_bits


def _distributed_luts(config: ArrayConfig) -> float:
    dual = sum(n * _cheapest(depth, width, _DUAL_PORT_SHAPES) for n, depth, width in _dual_port_memories(config))
    biases = 2 * _cheapest(2 * config.rows, BIAS_BITS, _SINGLE_PORT_SHAPES)
    return dual + biases * config.lanes / ACTIVATIONS_PER_WORD


def _multiplexer_luts(config: ArrayConfig) -> float:
    """Return the LUTs that choose between the blocks of 64 words of a deep memory, an entry of a word, and a pointer of
    memory or register."""
    blocks = sum(n * width * _choose_luts(-(-depth // 64)) for n, depth, width in _dual_port_memories(config))
    pointers = config.num_pes * config.pointer_bits * config.last_end_apart
    return blocks + config.num_pes * config.entry_bits * _choose_luts(config.entries_per_word) + pointers


def _choose_luts(ways: int) -> int:
    """Return the LUTs of a multiplexer, a bit wide: four ways fit one."""
    return -(-(ways - 1) // 3)


def _cheapest(depth: int, width: int, shapes: tuple[tuple[int, int, int], ...]) -> int:
    return min(-(-depth // d) * -(-width // w) * cost for d, w, cost in shapes)
