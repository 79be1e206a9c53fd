"""Instructions that load nothing wait here beside the loads that follow them in the stream, and are taken in order."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block, concat

from eie.contract.config import WORD_BITS
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
from eie_hw.shell.retirement import retirement

TICKET_BITS = (EXECUTE_QUEUE - 1).bit_length()


@block
def execute_queue(
    clk: Signal,
    reset: Signal,
    push: Signal,
    header: Signal,
    segments: Signal,
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
    """Queue of checked headers; starts each as soon as what it needs is there.

    They are taken in order, one of each kind at a time, and two COMPUTEs:

    - a COMPUTE, unless the STORE taken last has not yet released accumulators of its part or a segment that it reads;
    - a STORE when the one before is done, unless the READ taken last still reads a segment that it writes; it starts
      when all COMPUTEs before it are done;
    - a READ when the one before is done; it starts when all COMPUTEs before it are done, and the STOREs have released
      what they wrote;
    - a FORMAT when the STORE before is done;
    - an ELEMENTWISE when all before it are done, and nothing until it is done.

    **Ports**

    ========= === ===============================================================================
    clk       in
    reset     in  synchronous, active high; forgets everything
    push      in  append `header`; only while not `full`
    header    in  64-bit header
    segments  in  with it: segments of the activation memory that it reads or writes
    full      out
    empty     out nothing queued or running
    ticket    out slot that the next push takes
    retire    out one cycle when the oldest instruction is done
    retired   out its slot
    hold      in  start nothing
    compute   out command bundles: `start` out, `done` in, fields out; of a COMPUTE also `ready` in
    store     out
    read      out
    form      out
    element   out
    ========= === ===============================================================================

    **Timing**: an instruction starts `pipeline.START_LATENCY` cycles after its push, or after the `done` that it waits
    for. It retires a cycle after its `done`, one a cycle.
    """
    written, taken = counter(TICKET_BITS + 1), counter(TICKET_BITS + 1)
    segment_bits = len(segments)
    head_slot = vector(TICKET_BITS)
    entry, head = vector(WORD_BITS + segment_bits), vector(WORD_BITS + segment_bits)
    opcode = vector(OPCODE_BITS)
    compute_command, store_command = vector(WORD_BITS), vector(WORD_BITS)
    read_command, form_command, element_command = (vector(WORD_BITS) for _ in range(3))
    store_segments, read_segments = vector(segment_bits), vector(segment_bits)
    computes, computes_done, store_target, read_target = counter(2), counter(2), counter(2), counter(2)
    in_progress = counter(2)
    store_busy, store_waits, read_busy, read_waits, form_busy, element_busy = (bit() for _ in range(6))
    store_holds, read_reached, read_stored = bit(), bit(), bit()
    available, conflict, overwrites, parts_meet, computed = bit(), bit(), bit(), bit(), bit()
    take_compute, take_store, take_read, take_form, take_element = (bit() for _ in range(5))
    head_part, held_part = vector(3), vector(3)
    head_quarters, store_quarters = vector(4), vector(4)

    compute_code, store_code, read_code, format_code = COMPUTE.opcode, STORE.opcode, READ.opcode, FORMAT.opcode
    element_code = ELEMENTWISE.opcode
    compute_part, stored_part = COMPUTE.field("part").offset, STORE.field("part").offset
    word_end, entry_end = WORD_BITS, WORD_BITS + segment_bits

    slots = lut_ram(clk, push, ticket, entry, head_slot, head)
    retiring = retirement(
        clk, reset, written, taken, take_compute, take_store, take_read, take_form, take_element,
        compute.done, store.done, read.done, form.done, element.done, full, empty, retire, retired,
    )  # fmt: skip

    @always_comb
    def assemble():
        entry.next = concat(segments, header)
        ticket.next = written[TICKET_BITS:]
        head_slot.next = taken[TICKET_BITS:]
        opcode.next = head[OPCODE_BITS:]
        head_part.next = head[compute_part + 3 : compute_part]
        held_part.next = store_command[stored_part + 3 : stored_part]

    head_parts = quarters(head_part, head_quarters)
    store_parts = quarters(held_part, store_quarters)

    @always_comb
    def compare():
        parts_meet.next = (head_quarters & store_quarters) != 0
        conflict.next = store_holds and (parts_meet or (head[entry_end:word_end] & store_segments) != 0)
        overwrites.next = read_busy and (head[entry_end:word_end] & read_segments) != 0
        available.next = taken != written and not hold and not element_busy
        computed.next = computes == computes_done
        in_progress.next = computes - computes_done

    @always_comb
    def take():
        take_compute.next = (
            available
            and opcode == compute_code
            and compute.ready
            and not compute.start
            and not in_progress[1]
            and not conflict
        )
        take_store.next = available and opcode == store_code and not store_busy and not overwrites and not form_busy
        take_read.next = available and opcode == read_code and not read_busy
        take_form.next = available and opcode == format_code and not store_busy and not form_busy
        take_element.next = (
            available and opcode == element_code and computed and not store_busy and not read_busy and not form_busy
        )

    @always(clk.posedge)
    def append():
        if reset:
            written.next = 0
            taken.next = 0
        else:
            if push:
                written.next = written + 1
            if take_compute or take_store or take_read or take_form or take_element:
                taken.next = taken + 1

    @always(clk.posedge)
    def run_computes():
        compute.start.next = take_compute and not reset
        if take_compute:
            compute_command.next = head[WORD_BITS:]
        if reset:
            computes.next = 0
            computes_done.next = 0
        else:
            if take_compute:
                computes.next = computes + 1
            if compute.done:
                computes_done.next = computes_done + 1

    @always(clk.posedge)
    def run_stores():
        store.start.next = False
        if take_store:
            store_command.next = head[WORD_BITS:]
            store_segments.next = head[entry_end:word_end]
            store_target.next = computes
        if reset or store.released:
            store_holds.next = False
        elif take_store:
            store_holds.next = True
        if reset:
            store_busy.next = False
            store_waits.next = False
        elif take_store:
            store_busy.next = True
            store_waits.next = not computed
            store.start.next = computed
        elif store_waits:
            if computes_done == store_target:
                store_waits.next = False
                store.start.next = True
        elif store.done:
            store_busy.next = False

    # A later COMPUTE may be done before the STORE is, and a later STORE begin: what was done must be remembered.
    @always(clk.posedge)
    def run_reads():
        read.start.next = False
        if take_read:
            read_command.next = head[WORD_BITS:]
            read_segments.next = head[entry_end:word_end]
            read_target.next = computes
        if reset:
            read_busy.next = False
            read_waits.next = False
        elif take_read:
            read_busy.next = True
            read_reached.next = computed
            read_stored.next = not store_holds
            read_waits.next = store_holds or not computed
            read.start.next = computed and not store_holds
        elif read_waits:
            if computes_done == read_target:
                read_reached.next = True
            if not store_holds:
                read_stored.next = True
            if (read_reached or computes_done == read_target) and (read_stored or not store_holds):
                read_waits.next = False
                read.start.next = True
        elif read.done:
            read_busy.next = False

    @always(clk.posedge)
    def run_formats():
        form.start.next = take_form and not reset
        if take_form:
            form_command.next = head[WORD_BITS:]
        if reset or form.done:
            form_busy.next = False
        elif take_form:
            form_busy.next = True

    @always(clk.posedge)
    def run_elements():
        element.start.next = take_element and not reset
        if take_element:
            element_command.next = head[WORD_BITS:]
        if reset or element.done:
            element_busy.next = False
        elif take_element:
            element_busy.next = True

    commands = ((compute_command, compute, COMPUTE), (store_command, store, STORE), (read_command, read, READ),
                (form_command, form, FORMAT), (element_command, element, ELEMENTWISE))  # fmt: skip
    wiring = [
        command_field(command, getattr(bundle, f.name), f.offset, f.width)
        for command, bundle, instruction in commands
        for f in instruction.fields
    ]
    return (
        slots, retiring, assemble, head_parts, store_parts, compare, take, append,
        run_computes, run_stores, run_reads, run_formats, run_elements, wiring,
    )  # fmt: skip


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
