"""What a command says: its fields, and which accumulators its part covers."""

from __future__ import annotations

from myhdl import Signal, always_comb, block


@block
def quarters(part: Signal, covered: Signal):
    """Tell which quarters of the accumulators a part covers (combinational)."""

    @always_comb
    def decode():
        if part < 2:
            covered.next = 0b1111
        elif part == 2:
            covered.next = 0b0011
        elif part == 3:
            covered.next = 0b1100
        elif part == 4:
            covered.next = 0b0001
        elif part == 5:
            covered.next = 0b0010
        elif part == 6:
            covered.next = 0b0100
        else:
            covered.next = 0b1000

    return decode


@block
def command_field(command: Signal, target: Signal, offset: int, width: int):
    """Drive a field of a command bundle from the header of the instruction taken last."""
    high = offset + width
    if isinstance(target.val, bool):

        @always_comb
        def connect():
            target.next = command[offset]
    else:

        @always_comb
        def connect():
            target.next = command[high:offset]

    return connect
