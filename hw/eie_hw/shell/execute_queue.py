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
from eie_hw.shell.command_fields import command_field, quarters
from eie_hw.shell.retirement import retirement

KINDS = (COMPUTE, STORE, READ, FORMAT, ELEMENTWISE)
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
    hold      in  start nothing, from the next cycle on
    compute   out command bundles: `start` out, `done` in, fields out; of a COMPUTE also `ready` in
    store     out
    read      out
    form      out
    element   out
    ========= === ===============================================================================

    **Timing**: an instruction starts `pipeline.START_LATENCY` cycles after its push, or after the `done` that it waits
    for. It retires a cycle after its `done`, one a cycle.
    """
    # What waits, oldest first: the head, a register, which has a slot, too, until it retires; and, if there are more,
    # what is in the slots from `following` on.
    written, taken, following = counter(TICKET_BITS), counter(TICKET_BITS), counter(TICKET_BITS)
    waiting_slots = counter(TICKET_BITS)
    segment_bits = len(segments)
    entry, stored, head = (vector(WORD_BITS + segment_bits + len(KINDS)) for _ in range(3))
    kinds = vector(len(KINDS))
    waiting, more, is_last, take_any, load_head = (bit() for _ in range(5))
    is_compute, is_store, is_read, is_format, is_element = (bit() for _ in KINDS)
    compute_command, store_command = vector(WORD_BITS), vector(WORD_BITS)
    read_command, form_command, element_command = (vector(WORD_BITS) for _ in range(3))
    store_segments, read_segments = vector(segment_bits), vector(segment_bits)
    computes, computes_done, store_target, read_target = counter(2), counter(2), counter(2), counter(2)
    in_progress = counter(2)
    store_busy, store_waits, read_busy, read_waits, form_busy, element_busy = (bit() for _ in range(6))
    store_holds, read_reached, read_stored = bit(), bit(), bit()
    available, conflict, overwrites, parts_meet, computed = (bit() for _ in range(5))
    element_runs, compute_begins = bit(), bit()
    take_compute, take_store, take_read, take_form, take_element = (bit() for _ in range(5))
    head_part, held_part = vector(3), vector(3)
    head_quarters, store_quarters = vector(4), vector(4)

    compute_code, store_code, read_code, format_code, element_code = (kind.opcode for kind in KINDS)
    compute_part, stored_part = COMPUTE.field("part").offset, STORE.field("part").offset
    word_end, entry_end = WORD_BITS, WORD_BITS + segment_bits

    slots = lut_ram(clk, push, written, entry, following, stored)
    retiring = retirement(
        clk, reset, push, taken, take_compute, take_store, take_read, take_form, take_element,
        compute.done, store.done, read.done, form.done, element.done, full, empty, retire, retired,
    )  # fmt: skip

    @always_comb
    def assemble():
        kinds.next[0] = header[OPCODE_BITS:] == compute_code
        kinds.next[1] = header[OPCODE_BITS:] == store_code
        kinds.next[2] = header[OPCODE_BITS:] == read_code
        kinds.next[3] = header[OPCODE_BITS:] == format_code
        kinds.next[4] = header[OPCODE_BITS:] == element_code
        ticket.next = written
        waiting_slots.next = written - taken
        is_last.next = waiting_slots == 2
        is_compute.next = head[entry_end]
        is_store.next = head[entry_end + 1]
        is_read.next = head[entry_end + 2]
        is_format.next = head[entry_end + 3]
        is_element.next = head[entry_end + 4]
        head_part.next = head[compute_part + 3 : compute_part]
        held_part.next = store_command[stored_part + 3 : stored_part]

    @always_comb
    def complete():
        entry.next = concat(kinds, segments, header)

    head_parts = quarters(head_part, head_quarters)
    store_parts = quarters(held_part, store_quarters)

    @always_comb
    def compare():
        parts_meet.next = (head_quarters & store_quarters) != 0
        conflict.next = store_holds and (parts_meet or (head[entry_end:word_end] & store_segments) != 0)
        overwrites.next = read_busy and (head[entry_end:word_end] & read_segments) != 0
        computed.next = in_progress == 0

    @always_comb
    def take():
        take_compute.next = (
            available and is_compute and compute.ready and not compute_begins and not in_progress[1] and not conflict
        )
        take_store.next = available and is_store and not store_busy and not overwrites and not form_busy
        take_read.next = available and is_read and not read_busy
        take_form.next = available and is_format and not store_busy and not form_busy
        take_element.next = available and is_element and computed and not store_busy and not read_busy and not form_busy

    # `load_head` is not made of `take_any`, lest the head's many bits wait for both.
    @always_comb
    def take_some():
        take_any.next = take_compute or take_store or take_read or take_form or take_element
        load_head.next = not waiting or take_compute or take_store or take_read or take_form or take_element
        element_runs.next = (element_busy or take_element) and not element.done

    # A push becomes the head where nothing is before it: it is there a cycle later, as it would be from its slot.
    @always(clk.posedge)
    def advance():
        waiting.next = not reset and (more or push or not load_head)
        if load_head:
            if more:
                head.next = stored
            else:
                head.next = entry
        if reset:
            written.next = 0
            taken.next = 0
            following.next = 1
            more.next = False
            available.next = False
        else:
            if push:
                written.next = written + 1
            if take_any:
                taken.next = taken + 1
                following.next = following + 1
            if load_head:
                more.next = more and (push or not is_last)
                available.next = (more or push) and not hold and not element_runs
            else:
                more.next = more or push
                available.next = not hold and not element_runs

    # While no instruction of a kind holds its fields they may be those of any head: all bits of a command need not wait
    # for the decision to take it. `compute_begins` is `start` for that decision alone, and `in_progress` the difference
    # of the COMPUTEs taken and done.
    @always(clk.posedge)
    def run_computes():
        compute.start.next = take_compute and not reset
        compute_begins.next = take_compute
        if compute.ready and not compute.start:
            compute_command.next = head[WORD_BITS:]
        if reset:
            computes.next = 0
            computes_done.next = 0
            in_progress.next = 0
        else:
            if take_compute and not compute.done:
                in_progress.next = in_progress + 1
            elif compute.done and not take_compute:
                in_progress.next = in_progress - 1
            if take_compute:
                computes.next = computes + 1
            if compute.done:
                computes_done.next = computes_done + 1

    @always(clk.posedge)
    def run_stores():
        store.start.next = False
        if not store_busy:
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
        if not read_busy:
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
        if not form_busy:
            form_command.next = head[WORD_BITS:]
        if reset or form.done:
            form_busy.next = False
        elif take_form:
            form_busy.next = True

    @always(clk.posedge)
    def run_elements():
        element.start.next = take_element and not reset
        if not element_busy:
            element_command.next = head[WORD_BITS:]
        element_busy.next = element_runs and not reset

    commands = ((compute_command, compute, COMPUTE), (store_command, store, STORE), (read_command, read, READ),
                (form_command, form, FORMAT), (element_command, element, ELEMENTWISE))  # fmt: skip
    wiring = [
        command_field(command, getattr(bundle, f.name), f.offset, f.width)
        for command, bundle, instruction in commands
        for f in instruction.fields
    ]
    return (
        slots, retiring, assemble, complete, head_parts, store_parts, compare, take, take_some, advance,
        run_computes, run_stores, run_reads, run_formats, run_elements, wiring,
    )  # fmt: skip
