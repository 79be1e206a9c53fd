"""The instruction set: the one description that packing, emulation, hardware and docs derive from.

A program is a sequence of instructions in 64-bit little-endian words: a header, then for the loads a payload
whose length follows from the header. A transfer (one AXI4-Stream packet) holds whole instructions. Instructions
take effect as if executed one after another; hardware overlaps loads with computing where no memory is shared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

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
    """A bit field of an instruction header."""

    name: str
    offset: int
    width: int
    text: str

    @property
    def mask(self) -> int:
        """Bits of the field in the header."""
        return ((1 << self.width) - 1) << self.offset


@dataclass(frozen=True)
class Span:
    """A range of a memory that an instruction touches: `start` field, `count` field, in units of the memory's words."""

    start: str
    count: str
    memory: str
    depth: Callable[[ArrayConfig], int]


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
        Ranges checked against the memories (OUT_OF_RANGE); the count must not be 0 (BAD_FIELD).
    limits : tuple of (field, callable config -> exclusive limit)
        Selectors checked against the array (OUT_OF_RANGE).
    """

    name: str
    opcode: int
    text: str
    fields: tuple[Field, ...]
    spans: tuple[Span, ...] = ()
    limits: tuple[tuple[str, Callable[[ArrayConfig], int]], ...] = ()
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
        if word & self.reserved_mask or values.get("count") == 0 or values.get("shift", 0) > SHIFT_LIMIT:
            return ErrorCode.BAD_FIELD
        if self is STORE and values["count"] % config.rows_per_group:
            return ErrorCode.BAD_FIELD
        for name, limit in self.limits:
            if values[name] >= limit(config):
                return ErrorCode.OUT_OF_RANGE
        for span in self.spans:
            if values[span.start] + span_length(self, span, config, values) > span.depth(config):
                return ErrorCode.OUT_OF_RANGE
        return ErrorCode.NONE


def span_length(instruction: Instruction, span: Span, config: ArrayConfig, values: dict[str, int]) -> int:
    """Memory words that a span covers; a STORE counts rows but writes activation groups, a COMPUTE counts groups
    but reads one pointer pair for every two columns, and the last column's end."""
    count = values[span.count]
    if instruction is STORE and span.memory == "activations":
        return count // config.rows_per_group
    if instruction is COMPUTE and span.memory == "pointers":
        return count * config.lanes // 2 + 1
    return count


def _bank(text: str) -> Field:
    return Field("bank", 8, 1, text)


def _address(text: str) -> Field:
    return Field("address", 32, 16, text)


def _count(text: str) -> Field:
    return Field("count", 48, 16, text)


_BANK_LIMIT = ("bank", lambda config: config.banks)

CODEBOOK = Instruction(
    "CODEBOOK",
    0x01,
    "Load a codebook into every PE.",
    (Field("slot", 12, 4, "codebook slot"),),
    limits=(("slot", lambda config: config.codebooks),),
    payload_bytes=lambda config, count: CODEBOOK_SIZE * WEIGHT_BITS // 8,
    payload_text="16 int16 shared weights; the value of code 0 is ignored and taken as 0",
)

POINTERS = Instruction(
    "POINTERS",
    0x02,
    "Load column pointers of all PEs.",
    (_bank("bank"), _address("first even/odd pointer pair"), _count("pointer pairs per PE")),
    spans=(Span("address", "count", "pointers", lambda config: config.pointer_pairs),),
    limits=(_BANK_LIMIT,),
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
        Field("pe", 16, 8, "processing element"),
        _address("first word"),
        _count("words"),
    ),
    spans=(Span("address", "count", "entries", lambda config: config.entry_words),),
    limits=(_BANK_LIMIT, ("pe", lambda config: config.num_pes)),
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
    spans=(Span("address", "count", "activations", lambda config: config.activation_groups),),
    payload_bytes=lambda config, count: count * config.lanes * 2,
    payload_text="`lanes` int16 a group, in order",
)

COMPUTE = Instruction(
    "COMPUTE",
    0x10,
    "Broadcast the non-zero activations of a tile and accumulate; column 0 of the tile is lane 0 of the first group.",
    (
        _bank("bank of the tile's pointers and entries"),
        Field("slot", 12, 4, "codebook slot"),
        Field("pointers", 16, 16, "pointer pair of column 0"),
        _address("first activation group of the input"),
        _count("activation groups of the input"),
    ),
    spans=(
        Span("pointers", "count", "pointers", lambda config: config.pointer_pairs),
        Span("address", "count", "activations", lambda config: config.activation_groups),
    ),
    limits=(_BANK_LIMIT, ("slot", lambda config: config.codebooks)),
)

STORE = Instruction(
    "STORE",
    0x11,
    "Add biases, round, shift, saturate, apply ReLU; write the outputs as activations and clear their accumulators.",
    (
        Field("relu", 8, 1, "1: negative outputs become 0"),
        Field("shift", 10, 6, "rounding shift, 0 to 47"),
        Field("bias", 16, 16, "local row of the first bias"),
        _address("activation group of the first output"),
        _count("local rows, from accumulator 0; a multiple of the rows in a group"),
    ),
    spans=(
        Span("bias", "count", "biases", lambda config: config.rows),
        Span("address", "count", "activations", lambda config: config.activation_groups),
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
    spans=(Span("address", "count", "activations", lambda config: config.activation_groups),),
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
