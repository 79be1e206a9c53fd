"""A program as a sequence of instructions: counted, and cut where it is longer than a DMA transfer may be."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from eie.contract import isa
from eie.contract.config import ArrayConfig
from eie.errors import DeviceError


def split_program(words: NDArray[np.uint64], config: ArrayConfig, limit: int) -> list[slice]:
    """Return the packets of a program, each of whole instructions and at most `limit` words.

    Raises
    ------
    DeviceError
        If one instruction alone is longer, or the program is malformed where it must be cut.
    """
    packets = []
    start = position = 0
    while len(words) - start > limit:
        while (end := _instruction_end(words, position, config)) - start <= limit:
            position = end
        if position == start:
            raise DeviceError(
                f"the instruction at word {start} takes {end - start} words, a DMA transfer at most {limit}: "
                "build the overlay with a larger dma_length_bits (26 is the most)"
            )
        packets.append(slice(start, position))
        start = position
    packets.append(slice(start, len(words)))
    return packets


def count_instructions(words: NDArray[np.uint64], config: ArrayConfig) -> int:
    """Return how many instructions a program of whole instructions has."""
    return sum(1 for _ in instructions(words, config))


def instructions(
    words: NDArray[np.uint64], config: ArrayConfig
) -> Iterator[tuple[isa.Instruction, dict[str, int], int]]:
    """Yield the instructions of a program of whole ones: the fields of each, and how many words its payload has."""
    position = 0
    while position < len(words):
        instruction, values, payload_words = _instruction(words, position, config)
        yield instruction, values, payload_words
        position += config.flit_words + payload_words


def _instruction_end(words: NDArray[np.uint64], position: int, config: ArrayConfig) -> int:
    return position + config.flit_words + _instruction(words, position, config)[2]


def _instruction(
    words: NDArray[np.uint64], position: int, config: ArrayConfig
) -> tuple[isa.Instruction, dict[str, int], int]:
    header = int(words[position])
    instruction = isa.BY_OPCODE.get(header & isa.OPCODE_MASK)
    if instruction is None:
        raise DeviceError(f"word {position} of the program is no instruction (0x{header:016x}); it cannot be cut there")
    values = instruction.decode(header)
    return instruction, values, instruction.payload_words(config, values)
