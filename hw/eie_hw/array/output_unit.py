"""The output unit of up to four PEs: bias or second operand, row scale or product, rounding, saturation, ReLU, clip."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block, concat, intbv, modbv

from eie.contract.config import ACCUMULATOR_BITS, ACTIVATION_BITS, BIAS_BITS, SCALE_BITS, SCALED_BITS, ArrayConfig
from eie_hw.array.rounding_shift import rounding_shift
from eie_hw.parts.array_interfaces import OutputFormat, OutputSelect
from eie_hw.parts.interfaces import bit, vector
from eie_hw.parts.load_interfaces import BiasLoad
from eie_hw.parts.memories import single_port_ram

PRODUCT_BITS = SCALED_BITS + SCALE_BITS
_OPERAND_MAX = (1 << SCALED_BITS - 1) - 1
_OPERAND_MIN = 1 << SCALED_BITS - 1
_BIAS_EXTENSION = (1 << ACCUMULATOR_BITS + 1 - BIAS_BITS) - 1
_SPARE = ACCUMULATOR_BITS - ACTIVATION_BITS
_HALF = 1 << ACTIVATION_BITS - 1


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
    operand_in,
    addend,
    multiplier,
    scale,
    result,
    saturated,
    config: ArrayConfig,
):
    """Turn an accumulator into an activation: sat16((s + (1 << shift >> 1)) >> shift), then ReLU, where s = acc + bias.

    Scaled, it is sat25(s >> pre_shift) * scale that is shifted, and the result is clipped to low..high. Rounding is
    done after the shift, by adding the last bit shifted out; that is the same number.

    Of an ELEMENTWISE, s is the sum of `operand_in` and `addend`, and `multiplier` takes the place of the scale; of a
    MAXIMUM it is the greater of the two.

    **Ports**

    ================ === ===================================================================================
    accumulator_0..3 in  of the four PEs
    select           in  one cycle before its accumulator: the PE whose accumulator and bias to take, and local row of
                         the bias; not while a bias is written
    biases           in  biases to store
    form             in  holds from the first `select` to the last `result`
    operand_in, addend, multiplier  in  of an ELEMENTWISE, see `operand_unit`; `operand_in` with the accumulator's time
    scale            in  of the row, two cycles after its `select`, see `row_scales`
    result           out
    saturated        out with the result: it is lost to saturation, see `eie.contract.saturation`
    ================ === ===================================================================================

    **Timing**: `result` comes `pipeline.OUTPUT_LATENCY` cycles after its accumulator, a scaled one SCALE_LATENCY
    later; one a cycle.
    """
    row_bits = len(select.bias_row)
    sum_bits = ACCUMULATOR_BITS + 1
    bias_address = vector(row_bits + 1)
    writing, chosen = bit(), vector(2)
    even_bias, odd_bias, even_data, odd_data = (vector(BIAS_BITS) for _ in range(4))
    factor, factor_held = vector(SCALE_BITS), vector(SCALE_BITS)
    lowered, operand = vector(SCALED_BITS), vector(SCALED_BITS)
    beyond, limited, product_limited, held_limited, inexact, unscaled_lost, lost = (bit() for _ in range(7))
    product = Signal(intbv(0, min=-(1 << PRODUCT_BITS - 1), max=1 << PRODUCT_BITS - 1))
    product_held = Signal(intbv(0, min=-(1 << PRODUCT_BITS - 1), max=1 << PRODUCT_BITS - 1))
    accumulator = vector(ACCUMULATOR_BITS)
    bias = vector(BIAS_BITS)
    unscaled, clipped, halved = (vector(ACTIVATION_BITS) for _ in range(3))
    not_negative, both_negative = bit(), bit()
    drops_low, drops_middle, drops_high = bit(), bit(), bit()
    wrong = vector(sum_bits - SCALED_BITS)
    # A bit below the sum's lowest carries a one into it for a difference.
    total_and_carry = Signal(modbv(0)[sum_bits + 1 :])
    total = vector(sum_bits)
    bias_extension = vector(sum_bits - BIAS_BITS)
    carry = bit()
    raised, lowered_again, kept, greater = (vector(ACTIVATION_BITS) for _ in range(4))
    value = Signal(intbv(0, min=-(1 << sum_bits - 1), max=1 << sum_bits - 1))

    @always_comb
    def split():
        even_data.next = biases.data[BIAS_BITS:]
        odd_data.next = biases.data[2 * BIAS_BITS : BIAS_BITS]

    @always(clk.posedge)
    def bias_port():
        writing.next = biases.write
        chosen.next = select.element
        if biases.write:
            bias_address.next = concat(biases.pair, biases.row)
        else:
            bias_address.next = concat(select.element[1], select.bias_row)

    even_biases = single_port_ram(clk, writing, even_data, bias_address, even_bias)
    odd_biases = single_port_ram(clk, writing, odd_data, bias_address, odd_bias)

    @always(clk.posedge)
    def take():
        if form.elementwise:
            accumulator.next = concat(intbv(0)[_SPARE:], raised)
        elif chosen[1]:
            if chosen[0]:
                accumulator.next = accumulator_3
            else:
                accumulator.next = accumulator_2
        else:
            if chosen[0]:
                accumulator.next = accumulator_1
            else:
                accumulator.next = accumulator_0
        if form.elementwise:
            bias.next = addend
        elif chosen[0]:
            bias.next = odd_bias
        else:
            bias.next = even_bias

    @always_comb
    def extend():
        raised.next = operand_in ^ _HALF
        lowered_again.next = accumulator[ACTIVATION_BITS:] ^ _HALF
        carry.next = form.difference
        if bias[BIAS_BITS - 1]:
            bias_extension.next = _BIAS_EXTENSION
        else:
            bias_extension.next = 0

    @always(clk.posedge)
    def add_bias():
        total_and_carry.next = concat(accumulator[ACCUMULATOR_BITS - 1], accumulator, carry) + concat(
            bias_extension, bias, carry
        )
        kept.next = lowered_again

    @always_comb
    def drop_carry():
        total.next = total_and_carry[sum_bits + 1 : 1]

    @always(clk.posedge)
    def take_factor():
        if form.elementwise:
            factor.next = multiplier
        else:
            factor.next = scale
        both_negative.next = multiplier[ACTIVATION_BITS - 1] and lowered_again[ACTIVATION_BITS - 1]

    @always_comb
    def lower():
        if form.pre_shift == 0:
            lowered.next = total[25:]
        elif form.pre_shift == 1:
            lowered.next = total[33:8]
        elif form.pre_shift == 2:
            lowered.next = total[41:16]
        else:
            lowered.next = total[49:24]

    # What is dropped at the top must be copies of the sign. Which bytes are is decoded ahead: four bits, the sign and
    # that fill a LUT.
    @always(clk.posedge)
    def drop():
        drops_low.next = form.pre_shift == 0
        drops_middle.next = form.pre_shift < 2
        drops_high.next = form.pre_shift != 3

    @always_comb
    def check_dropped():
        if total[sum_bits - 1]:
            wrong.next = total[sum_bits - 1 : SCALED_BITS - 1] ^ 0xFFFFFF
        else:
            wrong.next = total[sum_bits - 1 : SCALED_BITS - 1]

    @always_comb
    def look_beyond():
        beyond.next = (
            (drops_low and wrong[8:] != 0) or (drops_middle and wrong[16:8] != 0) or (drops_high and wrong[24:16] != 0)
        )

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
        limited.next = beyond
        product_limited.next = limited
        held_limited.next = product_limited

    # The greater one is negative if both are.
    @always_comb
    def compare():
        if total[sum_bits - 1]:
            greater.next = factor
        else:
            greater.next = kept
        greater.next[ACTIVATION_BITS - 1] = both_negative

    @always_comb
    def choose():
        if form.scaled:
            value.next = product_held
        elif form.maximum:
            value.next = greater.signed()
        else:
            value.next = total.signed()
        inexact.next = form.scaled and held_limited

    shifter = rounding_shift(clk, value, inexact, form.shift, form.relu, unscaled, unscaled_lost)

    @always(clk.posedge)
    def clip():
        lost.next = unscaled_lost
        if unscaled.signed() > form.high.signed():
            clipped.next = form.high
            lost.next = False
        elif unscaled.signed() < form.low.signed():
            clipped.next = form.low
            lost.next = False
        else:
            clipped.next = unscaled

    @always_comb
    def halve():
        halved.next = concat(intbv(0)[1:], not_negative, clipped[ACTIVATION_BITS - 1 : 1])

    @always_comb
    def sign():
        not_negative.next = not clipped[ACTIVATION_BITS - 1]

    @always_comb
    def deliver():
        if form.halved:
            result.next = halved
        elif form.scaled:
            result.next = clipped
        else:
            result.next = unscaled
        if form.scaled:
            saturated.next = lost
        else:
            saturated.next = unscaled_lost

    return (
        split, bias_port, even_biases, odd_biases, take, extend, add_bias, drop_carry, take_factor, lower,
        drop, check_dropped, look_beyond, multiply, compare, choose, shifter, clip, sign, halve, deliver,
    )  # fmt: skip
