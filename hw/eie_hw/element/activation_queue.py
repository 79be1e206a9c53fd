"""The activation queue of a processing element."""

from __future__ import annotations

from myhdl import Signal, always, block, intbv, modbv

from eie_hw.parts.memories import lut_ram


@block
def activation_queue(clk, reset, push, push_data, pop, valid, data, full, slots: int, high_water: int):
    """Queue of columns to work on: first in, first out.

    **Ports**

    ========= === ==================================================================
    push      in  append `push_data`; the queue is not asked whether it has a slot
    pop       in  remove the oldest item; only while `valid`
    valid     out there is an item
    data      out the oldest item
    full      out at least `high_water` items are waiting: broadcasts must stop
    ========= === ==================================================================

    **Parameters**: `slots`, a power of two; `high_water`, such that whatever is pushed after `full` finds a slot.

    **Timing**: `valid` and `full` are registers, `data` follows from one. An item pushed in cycle t is seen in cycle
    t + 1 (`valid`, `data`, `full`); push and pop may come in every cycle, both in the same one.
    """
    write_pointer = Signal(modbv(0)[(slots - 1).bit_length() :])
    read_pointer = Signal(modbv(0)[(slots - 1).bit_length() :])
    count = Signal(intbv(0, min=0, max=slots + 1))

    one_below = high_water - 1

    memory = lut_ram(clk, push, write_pointer, push_data, read_pointer, data)

    # `valid` and `full` are registers: what follows from them has the whole cycle.
    @always(clk.posedge)
    def step():
        if reset:
            write_pointer.next = 0
            read_pointer.next = 0
            count.next = 0
            valid.next = False
            full.next = False
        else:
            valid.next = push or count > 1 or (count == 1 and not pop)
            full.next = (
                count > high_water
                or (count == high_water and (push or not pop))
                or (count == one_below and push and not pop)
            )
            if push:
                write_pointer.next = write_pointer + 1
            if pop:
                read_pointer.next = read_pointer + 1
            if push and not pop:
                count.next = count + 1
            elif pop and not push:
                count.next = count - 1

    return memory, step
