"""Activation memory: which layers follow one another on chip, and where their activations lie."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from eie.contract import pipeline
from eie.contract.config import ArrayConfig
from eie.network.model import Model

INTERLEAVED = (4, 2)
"""Inferences that take turns, where the array has room for so many."""

PIECES = 4
"""Pieces in which an inference alone gets its input; each costs two headers in the stream."""
SHORTEST_PIECE = 16
"""Stream words that a piece must have in the mean."""


@dataclass(frozen=True)
class Piece:
    """Activation groups of an input that are loaded together, and the address at which they lie."""

    address: int
    first_group: int
    groups: int


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
    shared: int = 1
    """Inferences that compute with a tile of weights before the next one is loaded."""
    pieces: tuple[Piece, ...] = ()
    """Of the input of an inference alone: it computes with one while the next one is loaded. Empty: no room, or it is
    too small."""
    places_alone: tuple[tuple[int, ...], ...] = ()
    """Addresses of each tensor then."""


def plan_segments(model: Model, config: ArrayConfig, shared: int = 1) -> list[SegmentPlan]:
    """Cut a model into segments; where weights are streamed, so that so many inferences share each tile."""
    sizes = [-(-n // config.lanes) for n in (model.columns, *(layer.rows for layer in model.layers))]
    plans: list[SegmentPlan] = []
    first = 0
    while first < len(model.layers):
        stop = first
        places: tuple[tuple[int, ...], ...] = ()
        while stop < len(model.layers) and (
            more := _place_tensors(sizes[first : stop + 2], config.activation_groups, shared)
        ):
            stop, places = stop + 1, more
        if places:
            rows = None if shared == 1 else config.rows // shared
            alone = _place_alone(sizes[first : stop + 1], config) if shared == 1 else ((), ())
            plans.append(SegmentPlan(range(first, stop), rows, None, (), places, False, shared, *alone))
            first = stop
        else:
            plans.append(_plan_large_layer(first, sizes[first + 1], config, shared))
            first += 1
    return plans


def _plan_large_layer(index: int, output: int, config: ArrayConfig, shared: int) -> SegmentPlan:
    """Plan a layer whose input and output do not fit together: chunks of input, and if need be of output."""
    room = config.activation_groups
    by_row_tile = shared > 1 or output > room // 2
    if by_row_tile:
        output = min(output, room // 2 // shared, config.rows // config.rows_per_group // shared)
    taken, count = shared * output, max(2, shared)
    chunk = max(1, (room - taken) // count)
    chunks = tuple(range(taken, room - chunk + 1, chunk))[:count]
    return SegmentPlan(
        range(index, index + 1), output * config.rows_per_group, chunk, chunks, ((), (0,)), by_row_tile, shared
    )


def _place_tensors(sizes: list[int], room: int, shared: int) -> tuple[tuple[int, ...], ...]:
    """Place the tensors of layers that follow one another on chip; nowhere if there is no room.

    Those of as many inferences as fit apart, else, unless inferences are to share, each layer's at alternate ends.
    Inputs have segments of their own, so that they load while the inferences before compute, and so have the tensors
    between an inference's layers, which others need not wait for. Outputs lie side by side: one READ takes all.
    """
    part = max(1, room // pipeline.ACTIVATION_SEGMENTS)
    for inferences in INTERLEAVED if shared == 1 else (shared,):
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
    if shared > 1 or any(before + after > room for before, after in itertools.pairwise(sizes)):
        return ()
    return tuple((0,) if i % 2 == 0 else (room - size,) for i, size in enumerate(sizes))


def _round_up(size: int, part: int) -> int:
    return -(-size // part) * part


def _place_alone(sizes: list[int], config: ArrayConfig) -> tuple[tuple[Piece, ...], tuple[tuple[int, ...], ...]]:
    """Place the tensors of an inference that has the array to itself: its input in pieces, each in segments of its own,
    so that it loads while the one before computes; nowhere if there is no room, or if the input is small.

    Nothing computes while the first piece loads, so it is half as large as the others.
    """
    room = config.activation_groups
    part = max(1, room // pipeline.ACTIVATION_SEGMENTS)
    count = min(PIECES, sizes[0], sizes[0] * config.words_per_group // SHORTEST_PIECE)
    if count < 2:
        return (), ()
    edges = [0, *(round((2 * i - 1) * sizes[0] / (2 * count - 1)) for i in range(1, count + 1))]
    lengths = [end - start for start, end in itertools.pairwise(edges)]
    *behind, end = itertools.accumulate(sizes[1:], initial=0)
    *addresses, used = itertools.accumulate(
        (_round_up(length, part) for length in lengths), initial=_round_up(end, part)
    )
    if used > room:
        return (), ()
    pieces = tuple(map(Piece, addresses, edges[:-1], lengths))
    return pieces, ((addresses[0],), *((address,) for address in behind))
