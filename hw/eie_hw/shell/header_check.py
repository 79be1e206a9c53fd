"""Is a header an instruction that this array can execute? Derived from `eie.contract.isa` at elaboration."""

from __future__ import annotations

from fractions import Fraction

from myhdl import ConcatSignal, Signal, always, always_comb, block, concat, intbv

from eie.contract.config import ArrayConfig
from eie.contract.isa import OPCODE_BITS, Field, Instruction, Span
from eie_hw.parts.interfaces import bit, vector


def field(instruction: Instruction, name: str) -> Field:
    """Return a field of an instruction by name."""
    return next(f for f in instruction.fields if f.name == name)


def has_field(instruction: Instruction, name: str) -> bool:
    """Tell whether an instruction has a field."""
    return any(f.name == name for f in instruction.fields)


def field_signal(word: Signal, instruction: Instruction, name: str) -> Signal:
    """Return a field's bits of a header signal."""
    f = field(instruction, name)
    return word(f.offset + f.width, f.offset)


def bits_of(word: Signal, high: int, low: int) -> Signal:
    """Return bits high-1..low of a signal; a single one as a bit, which is what `any_of` can take."""
    return word(low) if high == low + 1 else word(high, low)


def any_of(bits: list[Signal]) -> Signal:
    """Return the bits side by side, to be compared with 0."""
    return ConcatSignal("0", *bits)


@block
def header_check(
    clk: Signal,
    enable: Signal,
    word: Signal,
    match: Signal,
    bad_field: Signal,
    out_of_range: Signal,
    instruction: Instruction,
    config: ArrayConfig,
):
    """Check a header as one instruction; for its own opcode the answers are what `Instruction.check` says.

    **Ports**

    ============= === ================================================
    clk           in
    enable        in  check the word; the answers hold otherwise
    word          in  64-bit header
    match         out the opcode is this instruction's; if not, the others are low
    bad_field     out BAD_FIELD
    out_of_range  out OUT_OF_RANGE, unless it is a BAD_FIELD
    ============= === ================================================

    **Timing**: answers one cycle after the word; a word a cycle. Sums of a range are registers, and what follows from
    them is left to the cycle of the answer.
    """
    opcode = word(OPCODE_BITS, 0)
    code = instruction.opcode

    reserved = _reserved_bits(word, instruction.reserved_mask)
    field_checks = []
    field_faults = []
    range_checks = []
    value_faults = []
    for f in instruction.fields:
        value = field_signal(word, instruction, f.name)
        if f.minimum == 1:
            field_faults.append(bit())
            field_checks.append(is_zero(value, field_faults[-1]))
        elif f.minimum:
            raise ValueError(f"{instruction.name}.{f.name} starts at {f.minimum}; hardware knows 0 and 1")
        if f.largest + 1 < 1 << f.width:
            field_faults.append(bit())
            field_checks.append(exceeds(value, field_faults[-1], f.largest))
        if f.multiple(config) > 1:
            field_faults.append(bits_of(word, f.offset + f.multiple(config).bit_length() - 1, f.offset))
        if f.limit and f.limit(config) < 1 << f.width:
            value_faults.append(bit())
            range_checks.append(exceeds(value, value_faults[-1], f.limit(config) - 1))
    field_fault = any_of([*reserved, *field_faults])
    sum_faults = []
    for span in instruction.spans:
        sum_faults.append(bit())
        range_checks.append(span_check(clk, enable, word, sum_faults[-1], instruction, span, config))
    for span, other in instruction.rivals:
        sum_faults.append(bit())
        range_checks.append(overlap_check(clk, enable, word, sum_faults[-1], instruction, span, other))
    for faults in (value_faults, sum_faults):
        if not faults:  # a check that never fails
            faults.append(bit())
            range_checks.append(exceeds(opcode, faults[-1], (1 << OPCODE_BITS) - 1))
    value_fault, sum_fault = any_of(value_faults), any_of(sum_faults)
    value_beyond = bit()

    @always(clk.posedge)
    def answer():
        if enable:
            match.next = opcode == code
            bad_field.next = opcode == code and field_fault != 0
            value_beyond.next = opcode == code and value_fault != 0

    @always_comb
    def combine():
        out_of_range.next = value_beyond or (match and sum_fault != 0)

    return field_checks, range_checks, answer, combine


def span_scale(span: Span, config: ArrayConfig) -> tuple[int, int]:
    """Return (shift, base) such that the span covers (count << shift) + base words; a negative shift goes right."""
    slope = span.words(config)
    shift = slope.numerator.bit_length() - slope.denominator.bit_length()
    if slope != Fraction(2) ** shift:
        raise ValueError(f"hardware wants a power of two of {span.memory} per {span.count}, not {slope}")
    return shift, span.extra


@block
def span_check(
    clk: Signal, enable: Signal, word: Signal, beyond: Signal, instruction: Instruction, span: Span, config: ArrayConfig
):
    """`beyond` is high if a range of the instruction ended beyond its memory, a cycle after the word."""
    shift, base = span_scale(span, config)
    depth = span.depth(config)
    start = field_signal(word, instruction, span.start)
    count_field = field(instruction, span.count)
    low = count_field.offset
    high = low + count_field.width
    if shift > 0:
        length = ConcatSignal(word(high, low), intbv(0)[shift:])
    else:
        length = word(high, low - shift)
    width = max(len(start), len(length), depth.bit_length()) + 2
    end_address = vector(width)
    depth_bits = depth.bit_length() - 1

    if base == 1:
        doubled = vector(width + 1)

        @always(clk.posedge)
        def add():
            # The low bit carries the base into the sum: a single adder.
            if enable:
                doubled.next = concat(start, intbv(1)[1:]) + concat(length, intbv(1)[1:])

        @always_comb
        def halve():
            end_address.next = doubled[width + 1 : 1]

        sum_of_both = (add, halve)
    else:

        @always(clk.posedge)
        def add():
            if enable:
                end_address.next = start + length + base

        sum_of_both = (add,)

    # Memories are powers of two deep: a look at the bits spares a second chain of carries behind the sum's.
    if depth == 1 << depth_bits and depth_bits > 0:

        @always_comb
        def compare():
            beyond.next = end_address[width : depth_bits + 1] != 0 or (
                end_address[depth_bits] and end_address[depth_bits:] != 0
            )
    else:

        @always_comb
        def compare():
            beyond.next = end_address > depth

    return sum_of_both, compare


@block
def overlap_check(
    clk: Signal, enable: Signal, word: Signal, overlap: Signal, instruction: Instruction, span: Span, other: Span
):
    """`overlap` is high if two ranges of equal length shared words without being the same, a cycle after the word."""
    if (span.count, span.extra) != (other.count, other.extra):
        raise ValueError(f"{instruction.name}: ranges of {span.memory} differ in length; hardware compares equal ones")
    first, second = field_signal(word, instruction, span.start), field_signal(word, instruction, other.start)
    count = field_signal(word, instruction, span.count)
    first_end, second_end = vector(len(first) + 1), vector(len(first) + 1)
    differ, first_before, second_before = bit(), bit(), bit()

    @always_comb
    def add():
        first_end.next = first + count
        second_end.next = second + count

    @always(clk.posedge)
    def compare():
        if enable:
            differ.next = first != second
            first_before.next = first < second_end
            second_before.next = second < first_end

    @always_comb
    def combine():
        overlap.next = differ and first_before and second_before

    return add, compare, combine


@block
def is_zero(value: Signal, result: Signal):
    """`result` is high if the value is 0 (combinational)."""

    @always_comb
    def compare():
        result.next = value == 0

    return compare


@block
def exceeds(value: Signal, result: Signal, limit: int):
    """`result` is high if the value is above the limit (combinational)."""

    @always_comb
    def compare():
        result.next = value > limit

    return compare


def _reserved_bits(word: Signal, mask: int) -> list[Signal]:
    """Return slices of the word that together are the bits of the mask."""
    slices = []
    low = 0
    while mask >> low:
        if mask >> low & 1:
            high = low
            while mask >> high & 1:
                high += 1
            slices.append(bits_of(word, high, low))
            low = high
        else:
            low += 1
    return slices
