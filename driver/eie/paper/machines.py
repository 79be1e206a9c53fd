"""The arrays that are compared: the paper's, ours, and what lies between."""

from __future__ import annotations

from dataclasses import fields, replace

from eie.contract.config import ROW_LIMIT, ArrayConfig
from eie.network.model import Layer

_MOST = 1 << 16
"""Largest depth of a memory (`ArrayConfig`)."""


def paper_machine() -> ArrayConfig:
    """Return the paper's machine."""
    return ArrayConfig.paper()


def best_machine() -> ArrayConfig:
    """Return the default array with 64 PEs and memories as deep as the paper's."""
    paper = ArrayConfig.paper()
    return replace(
        ArrayConfig(),
        num_pes=paper.num_pes,
        entries=paper.entries,
        pointers=paper.pointers,
        rows=paper.rows,
        activations=paper.activations,
    )


def board_machine() -> ArrayConfig:
    """Return the default array, whose memories fit the PYNQ-Z2: large layers are computed in many tiles."""
    return ArrayConfig()


_STEPS = (
    ("empty columns dropped before the queue", "skip_empty"),
    ("queue of {queue_depth}", "queue_depth"),
    ("{index_bits}-bit relative index", "index_bits"),
    ("first row in the pointer, indices circular", "first_row"),
    ("rows assigned to PEs by non-zeros", "balance_rows"),
)
"""From the paper's machine to the best one: each step's name, and the parameter that it changes."""


def ablation_steps() -> list[tuple[str, ArrayConfig]]:
    """Return the machines from the paper's to the best one, each with one parameter more of the best one's."""
    best = best_machine()
    steps = [("the paper's machine", paper_machine())]
    for name, parameter in _STEPS:
        config = replace(steps[-1][1], **{parameter: getattr(best, parameter)})
        steps.append((name.format(**best.to_dict()), config))
    left = [f.name for f in fields(ArrayConfig) if getattr(steps[-1][1], f.name) != getattr(best, f.name)]
    if left:
        raise AssertionError(f"no step changes {', '.join(left)}; add it to the steps")
    return steps


def roomy(config: ArrayConfig, layer: Layer) -> ArrayConfig:
    """Return an array whose memories hold a layer in one tile as far as its addresses reach.

    Where indices are circular the number of accumulators takes part in the encoding, and stays.
    """
    local_rows = -(-layer.rows // config.num_pes)
    rows = config.rows if config.first_row else max(config.rows, min(1 << (local_rows - 1).bit_length(), ROW_LIMIT))
    return replace(config, entries=_MOST, pointers=_MOST, activations=_MOST, rows=rows)
