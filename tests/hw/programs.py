"""Random programs: every instruction with random fields and payload, within what an array can execute."""

from __future__ import annotations

import random

import numpy as np

from eie.contract import isa
from eie.contract.config import SHIFT_LIMIT, ArrayConfig
from eie.contract.isa import ErrorCode, Instruction


def header(config: ArrayConfig, instruction: Instruction, generator: random.Random, **given: int) -> int:
    """Return a random header that the array accepts; `given` fields are fixed."""
    for _ in range(10_000):
        values = {}
        for f in instruction.fields:
            high = (1 << f.width) - 1
            if f.name == "count":
                high = min(high, generator.choice((1, 2, 4, 8, 64)))
            elif f.name in ("address", "pointers", "bias", "source"):
                high = min(high, generator.choice((0, 8, 1 << 10)))
            elif f.name == "shift":
                high = min(high, SHIFT_LIMIT)
            elif f.name == "words":
                high = config.words_per_group
            elif f.name == "pe":
                high = config.num_pes - 1
            drawn = generator.randint(0, high)
            values[f.name] = given.get(f.name, drawn - drawn % f.multiple(config))
        word = instruction.encode(**values)
        if instruction.check(config, word) is ErrorCode.NONE:
            return word
    raise AssertionError(f"no valid {instruction.name} found")


def flit(config: ArrayConfig, word: int, generator: random.Random) -> list[int]:
    """Return a header and, in its flit, words that nobody looks at."""
    return [word, *(generator.getrandbits(64) for _ in range(config.flit_words - 1))]


def payload(config: ArrayConfig, instruction: Instruction, word: int, generator: random.Random) -> list[int]:
    """Return random payload words; activations are half zeros."""
    count = instruction.payload_words(config, instruction.decode(word))
    words = [generator.getrandbits(64) for _ in range(count)]
    if instruction is isa.ACTIVATIONS:
        masks = (sum(0xFFFF << 16 * lane for lane in range(4) if generator.random() < 0.5) for _ in words)
        words = [w & m for w, m in zip(words, masks, strict=True)]
    return words


def read_everything(config: ArrayConfig, generator: random.Random) -> list[int]:
    """Return a READ of all activations that ends the packet to the host."""
    return flit(config, isa.READ.encode(last=1, words=0, address=0, count=config.activation_groups), generator)


def random_program(config: ArrayConfig, generator: random.Random, length: int, read_all: bool = True) -> np.ndarray:
    """Return one packet of `length` random instructions, ended by a READ of all activations if `read_all`."""
    words: list[int] = []
    for _ in range(length):
        instruction = generator.choice(isa.INSTRUCTIONS)
        given = {"last": 0} if instruction is isa.READ else {}
        word = header(config, instruction, generator, **given)
        words += [*flit(config, word, generator), *payload(config, instruction, word, generator)]
    if read_all:
        words += read_everything(config, generator)
    return np.array(words, "<u8").view(np.uint8)


def repeated_program(config: ArrayConfig, generator: random.Random) -> np.ndarray:
    """Return a packet of one short program again and again with other activations, as a batch is, and a READ of all.

    Repetitions may end packets to the host or not, and use what an earlier one left or not.
    """
    between = [kind for kind in isa.INSTRUCTIONS if kind is isa.ACTIVATIONS or kind.payload_text == "none"]
    kinds = [isa.ACTIVATIONS, *generator.choices(between, k=generator.randrange(4)), isa.READ]
    given = {isa.READ.name: {"last": generator.randrange(2)}}
    if generator.randrange(2):
        given[isa.ACTIVATIONS.name] = {"address": 0, "count": config.activation_groups}
    unit = [(kind, header(config, kind, generator, **given.get(kind.name, {}))) for kind in kinds]
    flits = [flit(config, word, generator) for _, word in unit]
    words: list[int] = []
    for _ in range(generator.randrange(2, 6)):
        for (kind, word), own_flit in zip(unit, flits, strict=True):
            words += [*own_flit, *payload(config, kind, word, generator)]
    words += read_everything(config, generator)
    return np.array(words, "<u8").view(np.uint8)
