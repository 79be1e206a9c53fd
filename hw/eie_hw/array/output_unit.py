"""The output unit of up to four PEs: bias, row scale, rounding, shift, saturation, ReLU, clip."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block, concat, intbv

from eie.contract.config import ACCUMULATOR_BITS, ACTIVATION_BITS, BIAS_BITS, SCALE_BITS, SCALED_BITS, ArrayConfig
from eie.contract.fixed_point import ACTIVATION_MAX, ACTIVATION_MIN
from eie_hw.parts.array_interfaces import BiasLoad, OutputFormat, OutputSelect
from eie_hw.parts.interfaces import bit, vector
from eie_hw.parts.memories import block_ram, single_port_ram

PRODUCT_BITS = SCALED_BITS + SCALE_BITS
_OPERAND_MAX = (1 << SCALED_BITS - 1) - 1
_OPERAND_MIN = 1 << SCALED_BITS - 1
_EXTENSION = (1 << 14) - 1
_MAX = ACTIVATION_MAX
_MIN = ACTIVATION_MIN & (1 << ACTIVATION_BITS) - 1


@block
def output_unit(
    clk,
    accumulator_0,
    accumulator_1,
    accumulator_2,
    accumulator_3,
    select: OutputSelect,
    biases: BiasLoad,
    form: OutputFormat,
    result,
    config: ArrayConfig,
):
    """Turn an accumulator into an activation: sat16((s + (1 << shift >> 1)) >> shift), then ReLU, where s = acc + bias.

    Scaled, it is sat25(s >> pre_shift) * scale that is shifted, and the result is clipped to low..high. Rounding is
    done after the shift, by adding the last bit shifted out; that is the same number.

    **Ports**

    ================ === ===================================================================================
    accumulator_0..3 in  of the four PEs
    select           in  one cycle before its accumulator: the PE whose accumulator and bias to take, and local row of
                         the bias; not while a bias is written
    biases           in  biases and row scales to store
    form             in  holds from the first `select` to the last `result`
    result           out
    ================ === ===================================================================================

    **Timing**: `result` comes `pipeline.OUTPUT_LATENCY` cycles after its accumulator, a scaled one SCALE_LATENCY
    later; one a cycle.
    """
    row_bits = len(select.bias_row)
    sum_bits = ACCUMULATOR_BITS + 1
    bias_address = vector(row_bits + 1)
    writing, chosen = bit(), vector(2)
    even_bias, odd_bias, even_data, odd_data = (vector(BIAS_BITS) for _ in range(4))
    scale_writing, scale_odd = bit(), bit()
    scale_address = vector(row_bits + 1)
    scale_data, scale_pair = vector(2 * SCALE_BITS), vector(2 * SCALE_BITS)
    factor, factor_held = vector(SCALE_BITS), vector(SCALE_BITS)
    lowered, operand = vector(SCALED_BITS), vector(SCALED_BITS)
    beyond = bit()
    product = Signal(intbv(0, min=-(1 << PRODUCT_BITS - 1), max=1 << PRODUCT_BITS - 1))
    product_held = Signal(intbv(0, min=-(1 << PRODUCT_BITS - 1), max=1 << PRODUCT_BITS - 1))
    accumulator = vector(ACCUMULATOR_BITS)
    bias = vector(BIAS_BITS)
    unscaled, clipped = vector(ACTIVATION_BITS), vector(ACTIVATION_BITS)
    total = Signal(intbv(0, min=-(1 << sum_bits - 1), max=1 << sum_bits - 1))
    value = Signal(intbv(0, min=-(1 << sum_bits - 1), max=1 << sum_bits - 1))
    # `widened` is the value with one bit below its point, which rounding looks at. What a stage of the shifter drops at
    # the top must be copies of the sign, or the result is out of range.
    widened = vector(sum_bits + 1)
    extension = vector(14)
    coarse = vector(32)
    coarse_over, coarse_sign = bit(), bit()
    middle = vector(20)
    fine = vector(17)
    fine_sign, fine_over = bit(), bit()
    fine_next = vector(17)
    middle_over, end_over = bit(), bit()
    above = vector(4)
    rounded = vector(ACTIVATION_BITS + 1)

    @always_comb
    def split():
        scale_data.next = biases.data[2 * SCALE_BITS :]
        even_data.next = biases.data[BIAS_BITS:]
        odd_data.next = biases.data[2 * BIAS_BITS : BIAS_BITS]

    @always(clk.posedge)
    def bias_port():
        writing.next = biases.write
        scale_writing.next = biases.scale_write
        scale_address.next = concat(biases.pair, biases.row)
        chosen.next = select.element
        if biases.write:
            bias_address.next = concat(biases.pair, biases.row)
        else:
            bias_address.next = concat(select.element[1], select.bias_row)

    even_biases = single_port_ram(clk, writing, even_data, bias_address, even_bias)
    odd_biases = single_port_ram(clk, writing, odd_data, bias_address, odd_bias)

    scales = block_ram(clk, scale_writing, scale_address, scale_data, bias_address, scale_pair)

    @always(clk.posedge)
    def take():
        if chosen[1]:
            if chosen[0]:
                accumulator.next = accumulator_3
            else:
                accumulator.next = accumulator_2
        else:
            if chosen[0]:
                accumulator.next = accumulator_1
            else:
                accumulator.next = accumulator_0
        if chosen[0]:
            bias.next = odd_bias
        else:
            bias.next = even_bias

    @always(clk.posedge)
    def add_bias():
        total.next = accumulator.signed() + bias.signed()

    @always(clk.posedge)
    def take_factor():
        scale_odd.next = chosen[0]
        if scale_odd:
            factor.next = scale_pair[2 * SCALE_BITS : SCALE_BITS]
        else:
            factor.next = scale_pair[SCALE_BITS:]

    # What is dropped at the top must be copies of the sign, which is one of them.
    @always_comb
    def lower():
        if form.pre_shift == 0:
            lowered.next = total[25:]
            beyond.next = total[49:24] != 0 and total[49:24] != 0x1FFFFFF
        elif form.pre_shift == 1:
            lowered.next = total[33:8]
            beyond.next = total[49:32] != 0 and total[49:32] != 0x1FFFF
        elif form.pre_shift == 2:
            lowered.next = total[41:16]
            beyond.next = total[49:40] != 0 and total[49:40] != 0x1FF
        else:
            lowered.next = total[49:24]
            beyond.next = False

    # The operands, the product and its copy are the registers of a DSP slice.
    @always(clk.posedge)
    def multiply():
        factor_held.next = factor
        if not beyond:
            operand.next = lowered
        elif total[sum_bits - 1]:
            operand.next = _OPERAND_MIN
        else:
            operand.next = _OPERAND_MAX
        product.next = operand.signed() * factor_held.signed()
        product_held.next = product

    @always_comb
    def choose():
        if form.scaled:
            value.next = product_held
        else:
            value.next = total

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
        if form.shift[6:4] == 0:
            coarse.next = widened[32:]
            if widened[sum_bits]:
                coarse_over.next = widened[sum_bits:32] != 0x1FFFF
            else:
                coarse_over.next = widened[sum_bits:32] != 0
        elif form.shift[6:4] == 1:
            coarse.next = widened[48:16]
            coarse_over.next = widened[sum_bits] != widened[sum_bits - 1]
        else:
            coarse.next = concat(extension, widened[50:32])
            coarse_over.next = False

    @always_comb
    def shift_middle():
        middle_over.next = False
        if form.shift[4:2] == 0:
            middle.next = coarse[20:]
            if coarse_sign:
                middle_over.next = coarse[32:20] != 0xFFF
            else:
                middle_over.next = coarse[32:20] != 0
        elif form.shift[4:2] == 1:
            middle.next = coarse[24:4]
            if coarse_sign:
                middle_over.next = coarse[32:24] != 0xFF
            else:
                middle_over.next = coarse[32:24] != 0
        elif form.shift[4:2] == 2:
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
        if form.shift[2:] == 0:
            fine_next.next = middle[17:]
            end_over.next = above != 0
        elif form.shift[2:] == 1:
            fine_next.next = middle[18:1]
            end_over.next = above[4:1] != 0
        elif form.shift[2:] == 2:
            fine_next.next = middle[19:2]
            end_over.next = above[4:2] != 0
        else:
            fine_next.next = middle[20:3]
            end_over.next = above[3]

    @always(clk.posedge)
    def hold_fine():
        fine.next = fine_next
        fine_sign.next = coarse_sign
        fine_over.next = coarse_over or middle_over or end_over

    @always_comb
    def round_up():
        rounded.next = concat(intbv(0)[1:], fine[17:1]) + fine[0]

    @always(clk.posedge)
    def finish():
        if fine_sign:
            if form.relu:
                unscaled.next = 0
            elif fine_over:
                unscaled.next = _MIN
            else:
                unscaled.next = rounded[ACTIVATION_BITS:]
        elif fine_over or rounded[ACTIVATION_BITS - 1]:
            unscaled.next = _MAX
        else:
            unscaled.next = rounded[ACTIVATION_BITS:]

    @always(clk.posedge)
    def clip():
        if unscaled.signed() > form.high.signed():
            clipped.next = form.high
        elif unscaled.signed() < form.low.signed():
            clipped.next = form.low
        else:
            clipped.next = unscaled

    @always_comb
    def deliver():
        if form.scaled:
            result.next = clipped
        else:
            result.next = unscaled

    return (
        split, bias_port, even_biases, odd_biases, scales, take, add_bias, take_factor, lower, multiply, choose, widen,
        shift_coarse, shift_middle, flip, shift_fine, hold_fine, round_up, finish, clip, deliver,
    )  # fmt: skip
