"""The multiply-accumulate of one DSP slice: a hand-written HDL template and its Python model."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block, intbv

from eie.contract.config import ACCUMULATOR_BITS, ACTIVATION_BITS, WEIGHT_BITS


@block
def multiply_accumulate(clk, enable, weight, activation, addend, use_total, use_zero, total):
    """Add a product to an accumulator or to the last total: total = weight * activation + base, modulo 2**48.

    **Ports**

    ================== === =====================================================================
    enable             in  0: the product is 0
    weight, activation in  two's complement
    addend             in  the base, in the cycle after next
    use_total          in  with `addend`: the base is the total of the cycle before instead
    use_zero           in  with `addend`: the base is 0 instead
    total              out
    ================== === =====================================================================

    **Timing**: operands in cycle t, `addend` and choice of base in cycle t + 2, `total` in cycle t + 3.
    """
    weight_held = Signal(intbv(0, min=-(1 << WEIGHT_BITS - 1), max=1 << WEIGHT_BITS - 1))
    activation_held = Signal(intbv(0, min=-(1 << ACTIVATION_BITS - 1), max=1 << ACTIVATION_BITS - 1))
    limit = 1 << WEIGHT_BITS + ACTIVATION_BITS - 1
    product = Signal(intbv(0, min=-limit, max=limit))
    total_held = Signal(intbv(0)[ACCUMULATOR_BITS:])
    for port in (clk, enable, weight, activation, addend, use_total, use_zero):
        port.read = True
    total.driven = "wire"

    @always(clk.posedge)
    def compute():
        weight_held.next = weight.signed() if enable else 0
        activation_held.next = activation.signed()
        product.next = weight_held * activation_held
        base = 0 if use_zero else int(total_held) if use_total else int(addend)
        total_held.next = (base + int(product)) % (1 << ACCUMULATOR_BITS)

    @always_comb
    def drive():
        total.next = total_held

    return compute, drive


multiply_accumulate.vhdl_code = """\
${total}_slice: entity work.multiply_accumulate
    port map (clk => $clk, enable => $enable, weight => $weight, activation => $activation,
              addend => $addend, use_total => $use_total, use_zero => $use_zero, total => $total);
"""
multiply_accumulate.verilog_code = """\
multiply_accumulate ${total}_slice (
    .clk($clk), .enable($enable), .weight($weight), .activation($activation),
    .addend($addend), .use_total($use_total), .use_zero($use_zero), .total($total)
);
"""
