"""In which order the instructions of the execute queue are over: that of their pushes, whichever is done first."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block

from eie.contract.pipeline import EXECUTE_QUEUE
from eie_hw.parts.interfaces import bit, counter, vector


@block
def retirement(
    clk: Signal,
    reset: Signal,
    push: Signal,
    slot: Signal,
    take_compute: Signal,
    take_store: Signal,
    take_read: Signal,
    take_form: Signal,
    take_element: Signal,
    compute_done: Signal,
    store_done: Signal,
    read_done: Signal,
    form_done: Signal,
    element_done: Signal,
    full: Signal,
    empty: Signal,
    retire: Signal,
    retired: Signal,
):
    """Note what is done, and retire instructions from the oldest on.

    **Ports**

    ============== === ==============================================================================
    push           in  an instruction is pushed; only while not `full`
    slot           in  of the next one to be taken
    take_...       in  one of that kind is taken, from `slot`
    ..._done       in  the oldest of that kind is done
    full           out no slot is free
    empty          out all have retired
    retire         out the oldest instruction is over
    retired        out its slot
    ============== === ==============================================================================

    **Timing**: an instruction retires a cycle after its `done`, or after the one before.
    """
    ticket_bits = len(retired)
    over = counter(ticket_bits)
    held = vector(ticket_bits + 1)
    finished = vector(EXECUTE_QUEUE)
    last_slot = EXECUTE_QUEUE - 1
    first, second = vector(ticket_bits), vector(ticket_bits)
    two, one = bit(), bit()
    store_slot, read_slot, form_slot, element_slot = (vector(ticket_bits) for _ in range(4))

    @always_comb
    def answer():
        retired.next = over
        retire.next = finished[over]

    # Registers: the stream of instructions and the interlock wait for them.
    @always(clk.posedge)
    def count():
        if reset:
            held.next = 0
            full.next = False
            empty.next = True
        elif push and not retire:
            held.next = held + 1
            full.next = held == last_slot
            empty.next = False
        elif retire and not push:
            held.next = held - 1
            full.next = False
            empty.next = held == 1

    # Of the COMPUTEs in progress, the first is the older one.
    @always(clk.posedge)
    def follow():
        if take_store:
            store_slot.next = slot
        if take_read:
            read_slot.next = slot
        if take_form:
            form_slot.next = slot
        if take_element:
            element_slot.next = slot
        if compute_done and two:
            first.next = second
        elif take_compute and not one:
            first.next = slot
        if take_compute:
            if compute_done and not two:
                first.next = slot
            second.next = slot
        if reset:
            one.next = False
            two.next = False
        elif take_compute and not compute_done:
            one.next = True
            two.next = one
        elif compute_done and not take_compute:
            one.next = two
            two.next = False

    @always(clk.posedge)
    def note():
        for i in range(EXECUTE_QUEUE):
            if reset or (retire and over == i):
                finished.next[i] = False
            elif (
                (compute_done and first == i)
                or (store_done and store_slot == i)
                or (read_done and read_slot == i)
                or (form_done and form_slot == i)
                or (element_done and element_slot == i)
            ):
                finished.next[i] = True
        if reset:
            over.next = 0
        elif retire:
            over.next = over + 1

    return answer, count, follow, note
