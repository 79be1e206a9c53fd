"""Activation memory: which layers follow one another on chip, and where their activations lie."""

from __future__ import annotations

from dataclasses import dataclass

from eie.contract import pipeline
from eie.contract.config import ArrayConfig
from eie.network.model import Model

INTERLEAVED = (4, 2)
"""Inferences that take turns, where the array has room for so many."""


@dataclass(frozen=True)
class SegmentPlan:
    layers: range
    max_local_rows: int | None
    max_groups: int | None
    chunk: tuple[int, ...]
    """Addresses that chunks of the input alternate between; empty if the input lies in memory as a whole."""
    places: tuple[tuple[int, ...], ...]
    """Addresses of each tensor, input first: one, or one for each inference of a unit."""
    read_by_row_tile: bool = False


def plan_segments(model: Model, config: ArrayConfig) -> list[SegmentPlan]:
    sizes = [-(-n // config.lanes) for n in (model.columns, *(layer.rows for layer in model.layers))]
    room = config.activation_groups
    plans, first = [], 0
    while first < len(model.layers):
        if sizes[first] + sizes[first + 1] > room:
            plans.append(_plan_large_layer(first, sizes[first + 1], config))
            first += 1
            continue
        stop = first + 1
        while stop < len(model.layers) and sizes[stop] + sizes[stop + 1] <= room:
            stop += 1
        places = _place_tensors(sizes[first : stop + 1], room)
        plans.append(SegmentPlan(range(first, stop), None, None, (), places))
        first = stop
    return plans


def _plan_large_layer(index: int, output: int, config: ArrayConfig) -> SegmentPlan:
    """Plan a layer whose input and output do not fit together: chunks of input, and if need be of output."""
    room = config.activation_groups
    by_row_tile = output > room // 2
    if by_row_tile:
        output = min(room // 2, config.rows // config.rows_per_group)
    chunk = max(1, (room - output) // 2)
    chunks = (output, output + chunk) if output + 2 * chunk <= room else (output,)
    return SegmentPlan(
        range(index, index + 1), output * config.rows_per_group, chunk, chunks, ((), (0,)), read_by_row_tile=by_row_tile
    )


def _place_tensors(sizes: list[int], room: int) -> tuple[tuple[int, ...], ...]:
    """Place a segment's tensors: those of as many inferences as fit apart, else each layer's at alternate ends.

    Inputs have segments of their own, so that they load while the inferences before compute, and so have the tensors
    between an inference's layers, which others need not wait for. Outputs lie side by side: one READ takes all.
    """
    part = max(1, room // pipeline.ACTIVATION_SEGMENTS)
    for inferences in INTERLEAVED:
        inputs = _round_up(sizes[0], part)
        between = _round_up(sum(sizes[1:-1]), part)
        results, used = inferences * sizes[-1], sum(sizes[1:-1])
        # Those between the first inference's layers have been read when the first output is stored.
        end = inferences * (inputs + between)
        first_output = inferences * inputs + used if used + results <= between else end
        if max(end, first_output + results) > room:
            continue
        places = [[i * inputs for i in range(inferences)]]
        first = [inferences * inputs + i * between for i in range(inferences)]
        for size in sizes[1:-1]:
            places.append(first)
            first = [address + size for address in first]
        places.append([first_output + i * sizes[-1] for i in range(inferences)])
        return tuple(map(tuple, places))
    return tuple((0,) if i % 2 == 0 else (room - size,) for i, size in enumerate(sizes))


def _round_up(size: int, part: int) -> int:
    return -(-size // part) * part
