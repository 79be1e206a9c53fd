"""Which memories an instruction uses, and which are in use: the interlock between loads and the execute queue."""

from __future__ import annotations

from collections.abc import Callable

from myhdl import ConcatSignal, Signal, always, always_comb, block, concat

from eie.contract.config import ArrayConfig
from eie.contract.isa import INSTRUCTIONS, OPCODE_BITS, Instruction
from eie.contract.pipeline import activation_segments
from eie_hw.parts.interfaces import bit, counter, vector
from eie_hw.shell.header_check import any_of, field, field_signal, has_field, span_scale


def resource_count(config: ArrayConfig) -> int:
    """Return the number of resources: weight banks, codebook slots, the bias memory, activation segments."""
    return config.banks + config.codebooks + 1 + activation_segments(config)


def _touches(memory: str) -> Callable[[Instruction], bool]:
    return lambda instruction: any(span.memory == memory for span in instruction.spans)


@block
def resource_use(clk: Signal, enable: Signal, word: Signal, uses: Signal, segments: Signal, config: ArrayConfig):
    """Tell which resources a header's instruction uses.

    **Ports**

    ====== === ====================================================================================
    clk    in
    enable in  look at the word; the answer of a cycle later holds otherwise
    word   in  64-bit header
    uses   out a bit per resource: banks in the low bits, then codebook slots, biases, segments
    segments  out the segments that it reads or writes; `uses` may have more of them
    ====== === ====================================================================================

    **Timing**: two cycles after the word; a word a cycle. Meaningless for a header with an error.
    """
    with_bank = [i for i in INSTRUCTIONS if has_field(i, "bank")]
    with_slot = [i for i in INSTRUCTIONS if has_field(i, "slot")]
    with_bias = [i for i in INSTRUCTIONS if _touches("biases")(i)]

    use_signals = []
    units = []
    for number in range(config.banks):
        use_signals.append(bit())
        units.append(selects(word, use_signals[-1], with_bank, "bank", number))
    for number in range(config.codebooks):
        use_signals.append(bit())
        units.append(selects(word, use_signals[-1], with_slot, "slot", number))
    use_signals.append(bit())
    units.append(is_one_of(word, use_signals[-1], with_bias))
    segment_use, range_use = vector(activation_segments(config)), vector(activation_segments(config))
    units.append(segments_used(clk, enable, word, segment_use, range_use, config))
    other_use = ConcatSignal(*reversed(use_signals))
    kept_use = vector(len(other_use))

    @always(clk.posedge)
    def answer():
        if enable:
            kept_use.next = other_use
        uses.next = concat(segment_use, kept_use)
        segments.next = range_use

    return units, answer


@block
def is_one_of(word: Signal, result: Signal, instructions: list[Instruction]):
    """`result` is high if the header is of one of these instructions (combinational)."""
    opcode_matches = [bit() for _ in instructions]
    matched = any_of(opcode_matches)
    units = [opcode_is(word, match, i.opcode) for match, i in zip(opcode_matches, instructions, strict=True)]

    @always_comb
    def combine():
        result.next = matched != 0

    return units, combine


@block
def opcode_is(word: Signal, result: Signal, opcode: int):
    field = word(OPCODE_BITS, 0)

    @always_comb
    def compare():
        result.next = field == opcode

    return compare


@block
def selects(word: Signal, result: Signal, instructions: list[Instruction], name: str, number: int):
    """`result` is high if the header is of one of these instructions and its field has that value (combinational)."""
    kind = bit()
    unit = is_one_of(word, kind, instructions)
    value = field_signal(word, instructions[0], name)

    @always_comb
    def compare():
        result.next = kind and value == number

    return unit, compare


@block
def segments_used(clk: Signal, enable: Signal, word: Signal, result: Signal, in_range: Signal, config: ArrayConfig):
    """`in_range` has a bit for each activation segment in which the header's range lies, `result` also one for each
    that must be guarded with it: what follows from registers of what was in the header a cycle ago."""
    by_scale: dict[int, list[Instruction]] = {}
    for instruction in INSTRUCTIONS:
        for span in instruction.spans:
            if span.memory == "activations" and span.alone is not True:
                shift, _ = span_scale(span, config)
                by_scale.setdefault(shift, []).append(instruction)
    parts = []
    units = []
    for shift, instructions in sorted(by_scale.items()):
        parts.append([bit() for _ in range(len(result))])
        units.append(range_segments(clk, enable, word, parts[-1], instructions, -shift, config))
    units.append(either(list(parts), in_range))
    for instruction in INSTRUCTIONS:
        for alone in {span.alone for span in instruction.spans if span.alone}:
            parts.append([bit() for _ in range(len(result))])
            units.append(whole_memory(clk, enable, word, parts[-1], instruction, alone))
    return units, either(parts, result)


@block
def either(parts: list[list[Signal]], result: Signal):
    """`result` has a bit for each segment that some part has (combinational)."""
    hits = [bit() for _ in range(len(result))]
    sums = [any_of([part[number] for part in parts]) for number in range(len(hits))]
    units = [is_set(total, hit) for total, hit in zip(sums, hits, strict=True)]
    together = ConcatSignal(*reversed(hits))

    @always_comb
    def combine():
        result.next = together

    return units, combine


@block
def is_set(value: Signal, result: Signal):
    @always_comb
    def compare():
        result.next = value != 0

    return compare


@block
def whole_memory(clk, enable, word, hits, instruction, name):
    """All of `hits` are high if the header was of the instruction and its one-bit field, if it takes one, set."""
    kind, whole = bit(), bit()
    kind_unit = opcode_is(word, kind, instruction.opcode)
    flag = kind if name is True else word(field(instruction, name).offset)

    @always(clk.posedge)
    def remember():
        if enable:
            whole.next = kind and flag

    return kind_unit, remember, [follows(whole, hit) for hit in hits]


@block
def follows(source, result):
    @always_comb
    def connect():
        result.next = source

    return connect


@block
def range_segments(clk, enable, word, hits, instructions, right_shift, config):
    """Each of `hits` is high if the range of `count >> right_shift` groups from `address` touched its segment."""
    kind, kind_now = bit(), bit()
    kind_unit = is_one_of(word, kind_now, instructions)
    address = field_signal(word, instructions[0], "address")
    count = field(instructions[0], "count")
    length = word(count.offset + count.width, count.offset + right_shift)
    width = len(address) + 1
    end_address = counter(width)
    low = (config.activation_groups // len(hits)).bit_length() - 1
    high = low + (len(hits) - 1).bit_length()
    offset = field(instructions[0], "address").offset
    first_now = word(offset + high, offset + low)
    first_segment, final_segment = vector(high - low), vector(high - low)

    @always(clk.posedge)
    def add():
        if enable:
            kind.next = kind_now
            first_segment.next = first_now
            end_address.next = address + length - 1

    @always_comb
    def cut():
        final_segment.next = end_address[high:low]

    units = [between(kind, first_segment, final_segment, hit, number) for number, hit in enumerate(hits)]
    return kind_unit, add, cut, units


@block
def between(kind, first, last, result, number):
    @always_comb
    def compare():
        result.next = kind and first <= number and number <= last

    return compare


@block
def resource_lock(
    clk: Signal, reset: Signal, take: Signal, ticket: Signal, retire: Signal, retired: Signal, busy: Signal
):
    """A resource is busy until the last instruction that takes it completes.

    **Ports**

    ========= === ===============================================================================
    clk       in
    reset     in  synchronous, active high
    take      in  an instruction that uses the resource is queued
    ticket    in  its slot in the execute queue
    retire   in  the oldest instruction completes
    retired  in  its slot; instructions complete in order, so the ticket taken last decides
    busy      out from the cycle after `take` to the cycle after the last taker's `retire`
    ========= === ===============================================================================
    """
    holder = vector(len(ticket))

    @always(clk.posedge)
    def hold():
        if reset:
            busy.next = False
        elif take:
            busy.next = True
            holder.next = ticket
        elif retire and retired == holder:
            busy.next = False

    return hold
