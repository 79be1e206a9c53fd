"""Rounding shift: from a sum or a product to an activation."""

from __future__ import annotations

from myhdl import always, always_comb, block, concat, intbv

from eie.contract.config import ACCUMULATOR_BITS, ACTIVATION_BITS
from eie.contract.fixed_point import ACTIVATION_MAX, ACTIVATION_MIN
from eie_hw.parts.interfaces import bit, vector

_EXTENSION = (1 << 14) - 1
_MAX = ACTIVATION_MAX
_MIN = ACTIVATION_MIN & (1 << ACTIVATION_BITS) - 1


@block
def rounding_shift(clk, value, inexact, shift, relu, result, lost):
    """Shift right, round half up, saturate to 16 bits, and make what is below 0 to 0 if told to.

    **Ports**

    ============= === =====================================================
    value         in  49 bits, signed
    inexact       in  the value itself is saturated
    shift, relu   in  hold from a value to its result
    result        out
    lost          out with the result: saturation may have changed it
    ============= === =====================================================

    **Timing**: `result` comes three cycles after its value; one a cycle.
    """
    sum_bits = ACCUMULATOR_BITS + 1
    # `widened` is the value with one bit below its point, which rounding looks at. What a stage of the shifter drops at
    # the top must be copies of the sign, or the result is out of range.
    widened = vector(sum_bits + 1)
    extension = vector(14)
    coarse = vector(32)
    coarse_over, coarse_sign = bit(), bit()
    middle = vector(20)
    fine = vector(17)
    fine_sign, fine_over = bit(), bit()
    coarse_inexact, fine_inexact = bit(), bit()
    fine_next = vector(17)
    middle_over, end_over = bit(), bit()
    above = vector(4)
    rounded = vector(ACTIVATION_BITS + 1)

    @always_comb
    def widen():
        widened.next = concat(value[sum_bits:], intbv(0)[1:])
        if value[sum_bits - 1]:
            extension.next = _EXTENSION
        else:
            extension.next = 0

    @always(clk.posedge)
    def shift_coarse():
        coarse_sign.next = widened[sum_bits]
        coarse_inexact.next = inexact
        if shift[6:4] == 0:
            coarse.next = widened[32:]
            if widened[sum_bits]:
                coarse_over.next = widened[sum_bits:32] != 0x1FFFF
            else:
                coarse_over.next = widened[sum_bits:32] != 0
        elif shift[6:4] == 1:
            coarse.next = widened[48:16]
            coarse_over.next = widened[sum_bits] != widened[sum_bits - 1]
        else:
            coarse.next = concat(extension, widened[50:32])
            coarse_over.next = False

    @always_comb
    def shift_middle():
        middle_over.next = False
        if shift[4:2] == 0:
            middle.next = coarse[20:]
            if coarse_sign:
                middle_over.next = coarse[32:20] != 0xFFF
            else:
                middle_over.next = coarse[32:20] != 0
        elif shift[4:2] == 1:
            middle.next = coarse[24:4]
            if coarse_sign:
                middle_over.next = coarse[32:24] != 0xFF
            else:
                middle_over.next = coarse[32:24] != 0
        elif shift[4:2] == 2:
            middle.next = coarse[28:8]
            if coarse_sign:
                middle_over.next = coarse[32:28] != 0xF
            else:
                middle_over.next = coarse[32:28] != 0
        else:
            middle.next = coarse[32:12]

    @always_comb
    def flip():
        # The bits above the result's sign; as they should be, they are now 0.
        if coarse_sign:
            above.next = middle[20:16] ^ 15
        else:
            above.next = middle[20:16]

    @always_comb
    def shift_fine():
        if shift[2:] == 0:
            fine_next.next = middle[17:]
            end_over.next = above != 0
        elif shift[2:] == 1:
            fine_next.next = middle[18:1]
            end_over.next = above[4:1] != 0
        elif shift[2:] == 2:
            fine_next.next = middle[19:2]
            end_over.next = above[4:2] != 0
        else:
            fine_next.next = middle[20:3]
            end_over.next = above[3]

    @always(clk.posedge)
    def hold_fine():
        fine.next = fine_next
        fine_sign.next = coarse_sign
        fine_inexact.next = coarse_inexact
        fine_over.next = coarse_over or middle_over or end_over

    @always_comb
    def round_up():
        rounded.next = concat(intbv(0)[1:], fine[17:1]) + fine[0]

    @always(clk.posedge)
    def finish():
        if fine_sign:
            lost.next = (fine_over or fine_inexact) and not relu
        else:
            lost.next = fine_over or fine_inexact or rounded[ACTIVATION_BITS - 1]
        if fine_sign:
            if relu:
                result.next = 0
            elif fine_over:
                result.next = _MIN
            else:
                result.next = rounded[ACTIVATION_BITS:]
        elif fine_over or rounded[ACTIVATION_BITS - 1]:
            result.next = _MAX
        else:
            result.next = rounded[ACTIVATION_BITS:]

    return widen, shift_coarse, shift_middle, flip, shift_fine, hold_fine, round_up, finish
