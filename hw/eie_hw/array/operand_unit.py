"""The operands of an ELEMENTWISE: a lane of two groups of the activation memory, and the tables of the curves."""

from __future__ import annotations

from myhdl import always, always_comb, block, concat, intbv

from eie.contract.config import ACTIVATION_BITS, ACTIVATIONS_PER_WORD, BIAS_BITS, SCALE_BITS
from eie.contract.functions import OFFSETS, SEGMENT_BITS, SEGMENT_WIDTH_BITS, SEGMENTS, SLOPES, Operation
from eie_hw.parts.interfaces import bit, vector
from eie_hw.parts.multiplexer import multiplexer

_OFFSET = 1 << ACTIVATION_BITS - 1
_REST = _OFFSET - 1
_OFFSETS = tuple((offset - _OFFSET) % (1 << BIAS_BITS) for offset in OFFSETS)
_CURVE = int(Operation.TANH)
_ADD, _SUBTRACT, _MAXIMUM = int(Operation.ADD), int(Operation.SUBTRACT), int(Operation.MAXIMUM)
_TOP = SEGMENT_WIDTH_BITS + SEGMENT_BITS
_LOW = SEGMENT_WIDTH_BITS
_HIGHEST, _LOWEST = (SEGMENTS >> 1) - 1, SEGMENTS >> 1
_NOTHING = (1 << BIAS_BITS) - _OFFSET
_ONES = (1 << BIAS_BITS - ACTIVATION_BITS) - 1


@block
def operand_unit(clk, word, take_first, take_second, lane, operation, operand, addend, multiplier):
    """Keep a word of each of two groups, and give what the output unit makes a result of, lane by lane.

    The output unit adds 2^15 to the operand, so that it need not extend its sign; addends have 2^15 less.

    **Ports**

    ======================= === ==========================================================================
    word                    in  four lanes of the group that is read
    take_first, take_second in  in the next cycle, `word` is of the first or second group of operands
    lane                    in  one cycle before its operand
    operation                in  `eie.contract.functions.Operation`
    operand                 out the first operand
    addend                  out with it, 32 bits: what is added to it, less 2^15; one less still if it is subtracted
    multiplier              out one cycle later: the factor, or for a MAXIMUM the second operand
    ======================= === ==========================================================================

    **Timing**: `take_first` in cycle t, its `lane` 0 in t + 2 at the earliest, `take_second` in t + 1. Words
    hold for four lanes.
    """
    taking_first, taking_second = bit(), bit()
    first_word, second_word = vector(len(word)), vector(len(word))
    first, second = vector(ACTIVATION_BITS), vector(ACTIVATION_BITS)
    second_lane = vector((ACTIVATIONS_PER_WORD - 1).bit_length())
    segment = vector(SEGMENT_BITS)
    lowered, inverted = vector(ACTIVATION_BITS), vector(ACTIVATION_BITS)
    offset, slope = vector(BIAS_BITS), vector(SCALE_BITS)

    @always(clk.posedge)
    def keep():
        taking_first.next = take_first
        taking_second.next = take_second
        if taking_first:
            first_word.next = word
        if taking_second:
            second_word.next = word
        second_lane.next = lane
        operand.next = first

    choose_first = multiplexer(lane, first_word, first)
    choose_second = multiplexer(second_lane, second_word, second)

    # The outermost segments reach to the ends of int16.
    @always_comb
    def find_segment():
        if operand[ACTIVATION_BITS - 1] == operand[ACTIVATION_BITS - 2]:
            segment.next = operand[_TOP:_LOW]
        elif operand[ACTIVATION_BITS - 1]:
            segment.next = _LOWEST
        else:
            segment.next = _HIGHEST

    @always_comb
    def look_up_offset():
        offset.next = _OFFSETS[int(segment)]

    @always_comb
    def look_up_slope():
        slope.next = SLOPES[int(segment)]

    @always_comb
    def lower():
        lowered.next = second ^ _OFFSET
        inverted.next = second ^ _REST

    @always_comb
    def choose_addend():
        if operation >= _CURVE:
            addend.next = offset
        elif operation == _ADD:
            addend.next = concat(intbv(_ONES)[16:], lowered)
        elif operation >= _SUBTRACT and operation <= _MAXIMUM:
            addend.next = concat(intbv(_ONES)[16:], inverted)
        else:
            addend.next = _NOTHING

    @always(clk.posedge)
    def choose_multiplier():
        if operation >= _CURVE:
            multiplier.next = slope
        else:
            multiplier.next = second

    return (
        keep, choose_first, choose_second, find_segment, look_up_offset, look_up_slope, lower, choose_addend,
        choose_multiplier,
    )  # fmt: skip
