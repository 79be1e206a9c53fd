"""The instruction set: the one description that packing, emulation, hardware and docs derive from.

A program is a sequence of instructions in 64-bit little-endian words: a header, then for the loads a payload
whose length follows from the header. A *flit* is the 1, 2 or 4 words that the stream brings at once: headers and
payloads begin with one each, and what follows the header in its own is not looked at. A transfer (one AXI4-Stream
packet) holds whole instructions. Instructions take effect as if executed one after another; hardware overlaps them
where no memory is shared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from eie.contract.config import (
    CODEBOOK_SIZE,
    LENGTH_BITS,
    LENGTHS_PER_WORD,
    PRE_SHIFTS,
    SCALE_BITS,
    SHIFT_LIMIT,
    WEIGHT_BITS,
    ArrayConfig,
)
from eie.contract.functions import (
    OFFSETS,
    SLOPES,
    Operation,
)
from eie.contract.instruction import (
    OPCODE_BITS,
    OPCODE_MASK,
    ErrorCode,
    Field,
    Instruction,
    Span,
)

__all__ = ["OPCODE_BITS", "OPCODE_MASK", "ErrorCode", "Field", "Instruction", "Span"]

VERSION = 7
"""Version of the instruction set; part of the build hash."""


def _bank(text: str) -> Field:
    return Field("bank", 8, 1, text, limit=lambda config: config.banks)


def _slot() -> Field:
    return Field("slot", 12, 4, "codebook slot", limit=lambda config: config.codebooks)


def _address(text: str) -> Field:
    return Field("address", 32, 16, text)


def _count(text: str) -> Field:
    return Field("count", 48, 16, text, minimum=1)


def _activations(words: Callable[[ArrayConfig], Fraction] = lambda config: Fraction(1), alone: str | bool = "") -> Span:
    return Span("address", "count", "activations", lambda config: config.activation_groups, words, alone=alone)


def _part(offset: int) -> Field:
    # See `eie.contract.config.range_of_part`.
    return Field(
        "part",
        offset,
        3,
        "part of the accumulators: 0 or 1 all, 2 and 3 the halves, 4 to 7 the quarters",
        limit=lambda config: min(8, 2 * config.rows),
    )


def _local_rows() -> tuple[Field, Field]:
    return _address("first local row"), _count("local rows")


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

LENGTHS = Instruction(
    "LENGTHS",
    0x07,
    "Load column pointers of all PEs, given the lengths of the columns: entries begin at address 0.",
    POINTERS.fields,
    spans=POINTERS.spans,
    payload_bytes=lambda config, count: count * config.length_words * 8,
    payload_text=(
        f"for each pair of columns, for each {LENGTHS_PER_WORD // 2} PEs, one word: of each PE in order, the entries "
        f"of its even and of its odd column, {LENGTH_BITS} bits each. A pointer is the sum of the PE's lengths before "
        "it; the local row of the column's first entry is 0"
    ),
)

ENTRIES = Instruction(
    "ENTRIES",
    0x03,
    "Load sparse-matrix words of one PE, or of as many as a flit has words.",
    (
        _bank("bank"),
        Field(
            "pe",
            16,
            8,
            "the first of as many processing elements as a flit has words; a multiple of that number",
            multiple=lambda config: config.flit_words,
            limit=lambda config: config.num_pes,
        ),
        _address("first word"),
        _count("words"),
    ),
    spans=(Span("address", "count", "entries", lambda config: config.entry_words),),
    payload_bytes=lambda config, count: count * config.flit_words * config.beat_bytes,
    payload_text=(
        "for each word, for each of the PEs, one beat: `entries_per_word` entries from the low bits up, each "
        "`entry_bits` wide: 4-bit code in the low bits, relative index (zero rows skipped since the previous entry) "
        "above it"
    ),
)

BIAS = Instruction(
    "BIAS",
    0x04,
    "Load biases of all PEs.",
    _local_rows(),
    spans=(Span("address", "count", "biases", lambda config: config.rows),),
    payload_bytes=lambda config, count: count * config.pe_pairs * 8,
    payload_text=(
        "for each local row, for each j from 0 to 1 (0 alone for fewer than 4 PEs), for each 4 PEs from PE 4i on, one "
        "word of two int32: PE 4i+2j low, PE 4i+2j+1 high"
    ),
)

SCALE = Instruction(
    "SCALE",
    0x06,
    "Load row scales of all PEs.",
    _local_rows(),
    spans=(Span("address", "count", "biases", lambda config: config.rows),),
    payload_bytes=lambda config, count: count * config.scale_words * 8,
    payload_text=(
        "for each local row, for each j from 0 to 3 (to N - 1 of fewer than 4 PEs), for each 16 PEs from PE 16i on, "
        f"one word of four int{SCALE_BITS}: from the low bits up PE 16i+j, 16i+j+4, 16i+j+8 and 16i+j+12; those of PEs "
        "that are not there are ignored. A row's scale has the address of its bias"
    ),
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
        _part(9),
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
    "Add biases, scale if told to, round, shift, saturate, apply ReLU, clip if scaled; write the outputs as "
    "activations and clear their accumulators.",
    (
        Field("relu", 8, 1, "1: negative outputs become 0"),
        Field("scaled", 9, 1, "1: scale the sums and clip the outputs, with the row scales and the last FORMAT"),
        Field("shift", 10, 6, f"rounding shift, 0 to {SHIFT_LIMIT}", maximum=SHIFT_LIMIT),
        Field("bias", 16, 13, "local row of the first bias"),
        _part(29),
        _address("activation group of the first output"),
        replace(
            _count("local rows, from the part's first accumulator; a multiple of the rows in a group"),
            multiple=lambda config: config.rows_per_group,
        ),
    ),
    spans=(
        Span("bias", "count", "biases", lambda config: config.rows),
        _activations(lambda config: Fraction(1, config.rows_per_group), alone="scaled"),
    ),
)

READ = Instruction(
    "READ",
    0x12,
    "Send activations to the host.",
    (
        Field("last", 8, 1, "1: the packet to the host ends here (TLAST on the last word)"),
        Field(
            "words",
            16,
            8,
            "stream words of each group that are sent, from its first lanes on; 0: all",
            limit=lambda config: config.words_per_group + 1,
        ),
        _address("first activation group"),
        _count("groups"),
    ),
    spans=(_activations(),),
)

FORMAT = Instruction(
    "FORMAT",
    0x13,
    "Set how the scaled STOREs that follow make their outputs; after a reset, all fields are 0.",
    (
        Field("pre_shift", 8, 2, f"bits that a sum loses before it is scaled: {', '.join(map(str, PRE_SHIFTS))}"),
        Field("low", 16, 16, "int16: smaller outputs are raised to it"),
        Field("high", 32, 16, "int16: larger outputs are lowered to it"),
    ),
)

ELEMENTWISE = Instruction(
    "ELEMENTWISE",
    0x14,
    "Compute a function of activations, each of a group at `address` and of one at `source`; write the results to "
    "`address`.",
    (
        Field(
            "operation",
            8,
            3,
            ", ".join(f"{operation.value} {operation.name}" for operation in Operation),
            maximum=max(Operation),
        ),
        Field("shift", 11, 5, "rounding shift, 0 to 31"),
        Field("source", 16, 16, "first activation group of b"),
        _address("first activation group of a, and of the results"),
        _count("groups"),
    ),
    spans=(
        _activations(alone=True),
        Span("source", "count", "activations", lambda config: config.activation_groups, alone=True),
    ),
)

INSTRUCTIONS = (
    CODEBOOK,
    POINTERS,
    LENGTHS,
    ENTRIES,
    BIAS,
    SCALE,
    ACTIVATIONS,
    COMPUTE,
    STORE,
    READ,
    FORMAT,
    ELEMENTWISE,
)
BY_OPCODE = {instruction.opcode: instruction for instruction in INSTRUCTIONS}


def layout() -> list:
    """Return what a device's build depends on: opcodes, field positions and tables, without prose."""
    instructions = ([i.name, i.opcode, *([f.name, f.offset, f.width] for f in i.fields)] for i in INSTRUCTIONS)
    return [VERSION, *instructions, OFFSETS, SLOPES]
