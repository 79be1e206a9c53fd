"""The instruction set: the one description that packing, emulation, hardware and docs derive from.

A program is a sequence of instructions in 64-bit little-endian words: a header, then for the loads a payload
whose length follows from the header. A transfer (one AXI4-Stream packet) holds whole instructions. Instructions
take effect as if executed one after another; hardware overlaps loads with computing where no memory is shared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from fractions import Fraction

from eie.contract.config import CODEBOOK_SIZE, SHIFT_LIMIT, STREAM_BITS, WEIGHT_BITS, ArrayConfig

VERSION = 1
"""Version of the instruction set; part of the build hash."""

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
    ErrorCode.OUT_OF_RANGE: "a bank, PE, slot or address range lies outside this array's memories",
    ErrorCode.TRUNCATED: "the transfer ended inside an instruction",
    ErrorCode.BAD_KEEP: "a stream word with null bytes (tkeep not all ones)",
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
    """

    start: str
    count: str
    memory: str
    depth: Callable[[ArrayConfig], int]
    words: Callable[[ArrayConfig], Fraction] = lambda config: Fraction(1)
    extra: int = 0

    def length(self, config: ArrayConfig, values: dict[str, int]) -> int:
        """Return the memory words that it covers, given the fields of a header."""
        return int(values[self.count] * self.words(config)) + self.extra


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
        Bytes of payload before padding to whole stream words.
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
        return ((1 << STREAM_BITS) - 1) & ~used

    def payload_words(self, config: ArrayConfig, values: dict[str, int]) -> int:
        """Stream words of payload that follow a header with these fields."""
        return -(-self.payload_bytes(config, values.get("count", 0)) * 8 // STREAM_BITS)

    def check(self, config: ArrayConfig, word: int) -> ErrorCode:
        """Return what is wrong with a header of this opcode, in the order in which hardware decides."""
        values = self.decode(word)
        faults = [field.check(config, values[field.name]) for field in self.fields]
        if word & self.reserved_mask or ErrorCode.BAD_FIELD in faults:
            return ErrorCode.BAD_FIELD
        beyond = any(values[span.start] + span.length(config, values) > span.depth(config) for span in self.spans)
        return ErrorCode.OUT_OF_RANGE if beyond or ErrorCode.OUT_OF_RANGE in faults else ErrorCode.NONE


def _bank(text: str) -> Field:
    return Field("bank", 8, 1, text, limit=lambda config: config.banks)


def _slot() -> Field:
    return Field("slot", 12, 4, "codebook slot", limit=lambda config: config.codebooks)


def _address(text: str) -> Field:
    return Field("address", 32, 16, text)


def _count(text: str) -> Field:
    return Field("count", 48, 16, text, minimum=1)


def _activations(words: Callable[[ArrayConfig], Fraction] = lambda config: Fraction(1)) -> Span:
    return Span("address", "count", "activations", lambda config: config.activation_groups, words)


CODEBOOK = Instruction(
    "CODEBOOK",
    0x01,
    "Load a codebook into every PE.",
    (_slot(),),
    payload_bytes=lambda config, count: CODEBOOK_SIZE * WEIGHT_BITS // 8,
    payload_text="16 int16 shared weights; the value of code 0 is ignored and taken as 0",
)

POINTERS = Instruction(
    "POINTERS",
    0x02,
    "Load column pointers of all PEs.",
    (_bank("bank"), _address("first even/odd pointer pair"), _count("pointer pairs per PE")),
    spans=(Span("address", "count", "pointers", lambda config: config.pointer_pairs),),
    payload_bytes=lambda config, count: count * config.pe_pairs * config.beat_bytes,
    payload_text=(
        "for each pair of columns, for each pair of PEs, one beat: in its low bits the pointer words "
        "(PE 2i even, PE 2i odd, PE 2i+1 even, PE 2i+1 odd), each `pointer_bits` wide: entry address modulo the "
        "bank's depth in the low `start_bits`, above it the local row of the column's first entry if `first_row`"
    ),
)

ENTRIES = Instruction(
    "ENTRIES",
    0x03,
    "Load sparse-matrix words of one PE.",
    (
        _bank("bank"),
        Field("pe", 16, 8, "processing element", limit=lambda config: config.num_pes),
        _address("first word"),
        _count("words"),
    ),
    spans=(Span("address", "count", "entries", lambda config: config.entry_words),),
    payload_bytes=lambda config, count: count * config.beat_bytes,
    payload_text=(
        "one beat a word: `entries_per_word` entries from the low bits up, each `entry_bits` wide: 4-bit code in "
        "the low bits, relative index (zero rows skipped since the previous entry) above it"
    ),
)

BIAS = Instruction(
    "BIAS",
    0x04,
    "Load biases of all PEs.",
    (_address("first local row"), _count("local rows")),
    spans=(Span("address", "count", "biases", lambda config: config.rows),),
    payload_bytes=lambda config, count: count * config.pe_pairs * 8,
    payload_text="for each local row, for each pair of PEs, one word of two int32: PE 2i low, PE 2i+1 high",
)

ACTIVATIONS = Instruction(
    "ACTIVATIONS",
    0x05,
    "Load activations.",
    (_address("first activation group"), _count("groups")),
    spans=(_activations(),),
    payload_bytes=lambda config, count: count * config.lanes * 2,
    payload_text="`lanes` int16 a group, in order",
)

COMPUTE = Instruction(
    "COMPUTE",
    0x10,
    "Broadcast the non-zero activations of a tile and accumulate; column 0 of the tile is lane 0 of the first group.",
    (
        _bank("bank of the tile's pointers and entries"),
        _slot(),
        Field("pointers", 16, 16, "pointer pair of column 0"),
        _address("first activation group of the input"),
        _count("activation groups of the input"),
    ),
    spans=(
        # A pointer pair for every two columns, and the last column's end.
        Span(
            "pointers",
            "count",
            "pointers",
            lambda config: config.pointer_pairs,
            lambda config: Fraction(config.lanes, 2),
            extra=1,
        ),
        _activations(),
    ),
)

STORE = Instruction(
    "STORE",
    0x11,
    "Add biases, round, shift, saturate, apply ReLU; write the outputs as activations and clear their accumulators.",
    (
        Field("relu", 8, 1, "1: negative outputs become 0"),
        Field("shift", 10, 6, f"rounding shift, 0 to {SHIFT_LIMIT}", maximum=SHIFT_LIMIT),
        Field("bias", 16, 16, "local row of the first bias"),
        _address("activation group of the first output"),
        replace(
            _count("local rows, from accumulator 0; a multiple of the rows in a group"),
            multiple=lambda config: config.rows_per_group,
        ),
    ),
    spans=(
        Span("bias", "count", "biases", lambda config: config.rows),
        _activations(lambda config: Fraction(1, config.rows_per_group)),
    ),
)

READ = Instruction(
    "READ",
    0x12,
    "Send activations to the host.",
    (
        Field("last", 8, 1, "1: the packet to the host ends here (TLAST on the last word)"),
        _address("first activation group"),
        _count("groups"),
    ),
    spans=(_activations(),),
)

INSTRUCTIONS = (CODEBOOK, POINTERS, ENTRIES, BIAS, ACTIVATIONS, COMPUTE, STORE, READ)
BY_OPCODE = {instruction.opcode: instruction for instruction in INSTRUCTIONS}


def layout() -> list:
    """Return what a device's build depends on: opcodes and field positions, without prose."""
    return [VERSION, *([i.name, i.opcode, *([f.name, f.offset, f.width] for f in i.fields)] for i in INSTRUCTIONS)]


def markdown() -> str:
    """Return the instruction-set reference as Markdown; docs/instruction-set.md is this text."""
    lines = ["# Instruction set", "", *__doc__.split("\n\n", 1)[1].strip().splitlines(), ""]
    lines += [
        f"Version {VERSION}. Generated by `python -m eie.contract.isa > docs/instruction-set.md`; do not edit.",
        "",
        "All numbers are little-endian. A *local row* is row number // N, a *group* is `lanes` = max(N, 4)",
        "activations, a *beat* is `beat_bytes` bytes; beats follow one another without gaps and the payload is padded",
        "with zeros to whole 64-bit words. Memories hold zeros at power-on. A row address wraps modulo `rows`.",
        "",
    ]
    for instruction in INSTRUCTIONS:
        lines += [f"## {instruction.name} (0x{instruction.opcode:02x})", "", instruction.text, ""]
        lines += ["| bits | field | meaning |", "|---|---|---|", f"| {OPCODE_BITS - 1}:0 | opcode | |"]
        for field in instruction.fields:
            lines.append(f"| {field.offset + field.width - 1}:{field.offset} | {field.name} | {field.text} |")
        lines += ["", f"Payload: {instruction.payload_text}.", ""]
    lines += ["## Errors", ""]
    lines += [
        "The first error stops the program: earlier instructions complete, the rest of the input is drained until a",
        "soft reset. The status register gives the code and the index of the instruction since the soft reset. A",
        "header is checked in the order of this table as soon as it has arrived, before its payload.",
        "",
        "| code | name | meaning |",
        "|---|---|---|",
    ]
    lines += [f"| {code.value} | {code.name} | {ERROR_TEXT[code]} |" for code in ErrorCode]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
