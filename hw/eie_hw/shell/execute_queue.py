"""Instructions that load nothing wait here and run in order, beside the loads that follow them in the stream."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block

from eie.contract.config import STREAM_BITS
from eie.contract.isa import COMPUTE, ELEMENTWISE, FORMAT, OPCODE_BITS, READ, STORE
from eie.contract.pipeline import EXECUTE_QUEUE
from eie_hw.parts.interfaces import (
    ComputeCommand,
    ElementwiseCommand,
    FormatCommand,
    ReadCommand,
    StoreCommand,
    bit,
    counter,
    vector,
)
from eie_hw.parts.memories import lut_ram

TICKET_BITS = (EXECUTE_QUEUE - 1).bit_length()


@block
def execute_queue(
    clk: Signal,
    reset: Signal,
    push: Signal,
    header: Signal,
    full: Signal,
    empty: Signal,
    ticket: Signal,
    retire: Signal,
    retired: Signal,
    hold: Signal,
    compute: ComputeCommand,
    store: StoreCommand,
    read: ReadCommand,
    form: FormatCommand,
    element: ElementwiseCommand,
):
    """Queue of checked headers and the sequencer that starts them one at a time.

    **Ports**

    ========= === ===============================================================================
    clk       in
    reset     in  synchronous, active high; forgets everything
    push      in  append `header`; only while not `full`
    header    in  64-bit header
    full      out
    empty     out nothing queued or running
    ticket    out slot that the next push takes
    retire   out one cycle when the oldest instruction completes
    retired  out its slot
    hold      in  start nothing
    compute   out command bundles: `start` out, `done` in, fields out
    store     out
    read      out
    form      out
    element   out
    ========= === ===============================================================================

    **Timing**: an instruction starts two cycles after its push or after its predecessor's `done`.
    """
    written = counter(TICKET_BITS + 1)
    started = counter(TICKET_BITS + 1)
    completed = counter(TICKET_BITS + 1)
    running = bit()
    done = bit()
    head_slot = vector(TICKET_BITS)
    head = vector(STREAM_BITS)
    command = vector(STREAM_BITS)

    compute_code, store_code, read_code, format_code = COMPUTE.opcode, STORE.opcode, READ.opcode, FORMAT.opcode
    element_code = ELEMENTWISE.opcode

    slots = lut_ram(clk, push, ticket, header, head_slot, head)

    @always_comb
    def answer():
        full.next = written[TICKET_BITS:] == completed[TICKET_BITS:] and written[TICKET_BITS] != completed[TICKET_BITS]
        empty.next = written == completed
        ticket.next = written[TICKET_BITS:]
        head_slot.next = started[TICKET_BITS:]
        retired.next = completed[TICKET_BITS:]
        done.next = compute.done or store.done or read.done or form.done or element.done
        retire.next = running and (compute.done or store.done or read.done or form.done or element.done)

    @always(clk.posedge)
    def append():
        if reset:
            written.next = 0
        elif push:
            written.next = written + 1

    @always(clk.posedge)
    def start_next():
        compute.start.next = False
        store.start.next = False
        read.start.next = False
        form.start.next = False
        element.start.next = False
        if reset:
            started.next = 0
            completed.next = 0
            running.next = False
        elif running:
            if done:
                running.next = False
                completed.next = completed + 1
        elif started != written and not hold:
            running.next = True
            started.next = started + 1
            command.next = head
            compute.start.next = head[OPCODE_BITS:] == compute_code
            store.start.next = head[OPCODE_BITS:] == store_code
            read.start.next = head[OPCODE_BITS:] == read_code
            form.start.next = head[OPCODE_BITS:] == format_code
            element.start.next = head[OPCODE_BITS:] == element_code

    wiring = [
        command_field(command, getattr(bundle, f.name), f.offset, f.width)
        for bundle, instruction in (
            (compute, COMPUTE),
            (store, STORE),
            (read, READ),
            (form, FORMAT),
            (element, ELEMENTWISE),
        )
        for f in instruction.fields
    ]
    return slots, answer, append, start_next, wiring


@block
def command_field(command: Signal, target: Signal, offset: int, width: int):
    """Drive a field of a command bundle from the running instruction's header."""
    high = offset + width
    if isinstance(target.val, bool):

        @always_comb
        def wire():
            target.next = command[offset]
    else:

        @always_comb
        def wire():
            target.next = command[high:offset]

    return wire
