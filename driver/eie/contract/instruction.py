"""What an instruction is: a header of checked fields, ranges of memories, a payload; and what can be wrong with one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from itertools import combinations

from eie.contract.config import WORD_BITS, ArrayConfig

OPCODE_BITS = 8
OPCODE_MASK = (1 << OPCODE_BITS) - 1


class ErrorCode(IntEnum):
    """What a device reports of a malformed stream."""

    NONE = 0
    BAD_OPCODE = 1
    BAD_FIELD = 2
    OUT_OF_RANGE = 3
    TRUNCATED = 4
    BAD_KEEP = 5


ERROR_TEXT = {
    ErrorCode.NONE: "no error",
    ErrorCode.BAD_OPCODE: "the opcode of a header is not one of the instruction set",
    ErrorCode.BAD_FIELD: "a reserved bit of a header is set, a count is 0, or a field has a value that no array allows",
    ErrorCode.OUT_OF_RANGE: (
        "a bank, PE, slot or address range lies outside this array's memories, or two ranges overlap that should not"
    ),
    ErrorCode.TRUNCATED: "the transfer ended inside an instruction",
    ErrorCode.BAD_KEEP: "a flit with null bytes (tkeep not all ones)",
}


@dataclass(frozen=True)
class Field:
    """A bit field of an instruction header, and which of its values are allowed.

    Parameters
    ----------
    name, offset, width, text
        Name, lowest bit, bits, meaning.
    minimum, maximum : int
        Smallest and largest value (BAD_FIELD); by default all that the bits can hold.
    multiple : callable config -> int, optional
        A power of two of which the value must be a multiple (BAD_FIELD).
    limit : callable config -> int, optional
        What the value must stay below in this array (OUT_OF_RANGE).
    """

    name: str
    offset: int
    width: int
    text: str
    minimum: int = 0
    maximum: int | None = None
    multiple: Callable[[ArrayConfig], int] = lambda config: 1
    limit: Callable[[ArrayConfig], int] | None = None

    @property
    def mask(self) -> int:
        """Bits of the field in the header."""
        return ((1 << self.width) - 1) << self.offset

    @property
    def largest(self) -> int:
        """The largest value allowed."""
        return (1 << self.width) - 1 if self.maximum is None else self.maximum

    def check(self, config: ArrayConfig, value: int) -> ErrorCode:
        """Return what is wrong with a value."""
        if not self.minimum <= value <= self.largest or value % self.multiple(config):
            return ErrorCode.BAD_FIELD
        return ErrorCode.OUT_OF_RANGE if self.limit and value >= self.limit(config) else ErrorCode.NONE


@dataclass(frozen=True)
class Span:
    """A range of a memory that an instruction touches (OUT_OF_RANGE if it ends beyond).

    Parameters
    ----------
    start, count : str
        Fields that tell where it begins, and how many things it holds.
    memory : str
    depth : callable config -> int
        Words of the memory.
    words : callable config -> Fraction
        Words of the memory for each thing that `count` counts, a power of two.
    extra : int
        Words beyond.
    alone : str or bool
        A one-bit field that, if set, makes loads wait that write any word of the memory; True: they always wait.
    """

    start: str
    count: str
    memory: str
    depth: Callable[[ArrayConfig], int]
    words: Callable[[ArrayConfig], Fraction] = lambda config: Fraction(1)
    extra: int = 0
    alone: str | bool = ""

    def is_alone(self, values: dict[str, int]) -> bool:
        """Return whether loads wait that write any word of the memory, given the fields of a header."""
        return self.alone is True or (isinstance(self.alone, str) and bool(values.get(self.alone)))

    def length(self, config: ArrayConfig, values: dict[str, int]) -> int:
        """Return the memory words that it covers, given the fields of a header."""
        return int(values[self.count] * self.words(config)) + self.extra

    def overlaps(self, other: Span, config: ArrayConfig, values: dict[str, int]) -> bool:
        """Return whether it shares words with another range without being the same."""
        first, second = values[self.start], values[other.start]
        return (
            first != second
            and first < second + other.length(config, values)
            and second < first + self.length(config, values)
        )


@dataclass(frozen=True)
class Instruction:
    """One instruction: header layout, payload and checks.

    Parameters
    ----------
    name, opcode, text
        Mnemonic, low eight bits of the header, what it does.
    fields : tuple of Field
        All other bits of the header are reserved and must be zero.
    payload_bytes : callable (config, count) -> int
        Bytes of payload before padding to whole flits.
    payload_text : str
        Layout of the payload.
    spans : tuple of Span
        Ranges of memories.
    """

    name: str
    opcode: int
    text: str
    fields: tuple[Field, ...]
    spans: tuple[Span, ...] = ()
    payload_bytes: Callable[[ArrayConfig, int], int] = lambda config, count: 0
    payload_text: str = "none"

    def field(self, name: str) -> Field:
        """Return a field by name."""
        return next(field for field in self.fields if field.name == name)

    def encode(self, **values: int) -> int:
        """Return the header word; every field must be given and fit."""
        if values.keys() != {field.name for field in self.fields}:
            raise ValueError(f"{self.name} takes {[f.name for f in self.fields]}, got {sorted(values)}")
        word = self.opcode
        for field in self.fields:
            value = int(values[field.name])
            if not 0 <= value < 1 << field.width:
                raise ValueError(f"{self.name}.{field.name}={value} does not fit its {field.width} bits")
            word |= value << field.offset
        return word

    def decode(self, word: int) -> dict[str, int]:
        """Return the fields of a header word by name."""
        return {field.name: (word & field.mask) >> field.offset for field in self.fields}

    @property
    def reserved_mask(self) -> int:
        """Header bits that must be zero."""
        used = OPCODE_MASK
        for field in self.fields:
            used |= field.mask
        return ((1 << WORD_BITS) - 1) & ~used

    @property
    def rivals(self) -> list[tuple[Span, Span]]:
        """Pairs of ranges of one memory, which must be the same or apart."""
        return [pair for pair in combinations(self.spans, 2) if pair[0].memory == pair[1].memory]

    def payload_words(self, config: ArrayConfig, values: dict[str, int]) -> int:
        """Words of payload that follow the flit of a header with these fields: whole flits."""
        flits = -(-self.payload_bytes(config, values.get("count", 0)) // config.flit_bytes)
        return flits * config.flit_words

    def check(self, config: ArrayConfig, word: int) -> ErrorCode:
        """Return what is wrong with a header of this opcode, in the order in which hardware decides."""
        values = self.decode(word)
        faults = [field.check(config, values[field.name]) for field in self.fields]
        if word & self.reserved_mask or ErrorCode.BAD_FIELD in faults:
            return ErrorCode.BAD_FIELD
        beyond = any(values[span.start] + span.length(config, values) > span.depth(config) for span in self.spans)
        beyond |= any(span.overlaps(other, config, values) for span, other in self.rivals)
        return ErrorCode.OUT_OF_RANGE if beyond or ErrorCode.OUT_OF_RANGE in faults else ErrorCode.NONE
