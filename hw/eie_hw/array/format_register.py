"""The output format: what the last FORMAT said, and what the present STORE or ELEMENTWISE says."""

from __future__ import annotations

from myhdl import always, block, concat, intbv

from eie.contract.fixed_point import ACTIVATION_MAX, ACTIVATION_MIN
from eie.contract.functions import MULTIPLIED, Operation
from eie_hw.parts.array_interfaces import OutputFormat
from eie_hw.parts.interfaces import ElementwiseCommand, FormatCommand, StoreCommand, vector

_LOWEST, _HIGHEST = ACTIVATION_MIN % (1 << 16), ACTIVATION_MAX
_MULTIPLIED = min(MULTIPLIED)
_MAXIMUM, _SUBTRACT, _SIGMOID = int(Operation.MAXIMUM), int(Operation.SUBTRACT), int(Operation.SIGMOID)


@block
def format_register(
    clk,
    reset,
    form: FormatCommand,
    store: StoreCommand,
    element: ElementwiseCommand,
    elementwise,
    output: OutputFormat,
):
    """Keep the fields of the last FORMAT, and tell the output units how the outputs of an instruction are made.

    **Ports**

    ======================= === ==============================================================
    form                    in  the FORMAT; `done` is driven here
    store, element          in  their fields
    elementwise             in  an ELEMENTWISE is in progress
    output                  out for the output units; of a FORMAT, 0 after reset
    ======================= === ==============================================================

    **Timing**: `form.done` comes one cycle after `form.start`. `output` follows the fields, and those of a FORMAT, one
    cycle later: from a register, for it goes to all output units.
    """
    pre_shift, low, high = vector(len(form.pre_shift)), vector(len(form.low)), vector(len(form.high))

    @always(clk.posedge)
    def keep():
        form.done.next = form.start and not reset
        if reset:
            pre_shift.next = 0
            low.next = 0
            high.next = 0
        elif form.start:
            pre_shift.next = form.pre_shift
            low.next = form.low
            high.next = form.high

    @always(clk.posedge)
    def tell():
        output.elementwise.next = elementwise
        output.operation.next = element.operation
        output.difference.next = elementwise and (element.operation == _SUBTRACT or element.operation == _MAXIMUM)
        output.maximum.next = elementwise and element.operation == _MAXIMUM
        output.halved.next = elementwise and element.operation == _SIGMOID
        if elementwise:
            output.relu.next = False
            output.scaled.next = element.operation >= _MULTIPLIED
            output.shift.next = concat(intbv(0)[1:], element.shift)
            output.pre_shift.next = 0
            output.low.next = _LOWEST
            output.high.next = _HIGHEST
        else:
            output.relu.next = store.relu
            output.scaled.next = store.scaled
            output.shift.next = store.shift
            output.pre_shift.next = pre_shift
            output.low.next = low
            output.high.next = high

    return keep, tell
