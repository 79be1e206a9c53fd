"""Models that share an array: which of them stay on it."""

from __future__ import annotations

from collections.abc import Sequence

from eie.contract.config import ArrayConfig
from eie.network.model import Model
from eie.program.memory import Memory
from eie.program.packing import PackedModel, pack
from eie.program.weights import place_weights


def pack_together(models: Sequence[Model], config: ArrayConfig) -> list[tuple[PackedModel, bool]]:
    """Pack models that take turns on an array, each with whether it stays there.

    Where not all fit, the largest stay, as many as leave room for any one of the others: these take turns in what is
    left. A model whose weights do not fit even alone needs the whole array; then none stays.
    """
    packed = [pack(model, config) for model in models]
    if not all(one.resident for one in packed):
        return [(one, False) for one in packed]
    staying: list[int] = []
    memory = Memory(config)
    for index in sorted(range(len(packed)), key=lambda index: -len(packed[index].weights)):
        left = _left_by(packed[index], memory)
        others = (one for i, one in enumerate(packed) if i != index and i not in staying)
        if left is not None and all(_left_by(one, left) is not None for one in others):
            staying.append(index)
            memory = left
    memory = Memory(config)
    for index in staying:
        packed[index] = pack(models[index], config, memory)
        memory = packed[index].memory
    return [
        (one, True) if index in staying else (pack(models[index], config, memory), False)
        for index, one in enumerate(packed)
    ]


def _left_by(packed: PackedModel, memory: Memory) -> Memory | None:
    """Return what a model leaves of the memories, or None if it finds no room."""
    resident = place_weights(packed.model.layers, packed.row_tiles, memory.copy())
    return resident.memory if resident else None
