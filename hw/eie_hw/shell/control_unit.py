"""The central control unit: takes instructions from the stream, checks them and carries them out in order."""

from __future__ import annotations

from myhdl import ConcatSignal, Signal, always, always_comb, block, enum

from eie.contract.config import WORD_BITS, ArrayConfig
from eie.contract.isa import INSTRUCTIONS, ErrorCode
from eie.contract.pipeline import activation_segments
from eie_hw.parts.interfaces import (
    ComputeCommand,
    ElementwiseCommand,
    FormatCommand,
    LoadBus,
    MachineStatus,
    ReadCommand,
    StoreCommand,
    Stream,
    bit,
    vector,
)
from eie_hw.shell.execute_queue import TICKET_BITS, execute_queue
from eie_hw.shell.header_check import any_of, header_check
from eie_hw.shell.interlock import resource_count, resource_lock, resource_use
from eie_hw.shell.load_unit import LOADS, load_unit

_BAD_OPCODE, _BAD_FIELD, _OUT_OF_RANGE, _TRUNCATED, _BAD_KEEP = (int(c) for c in ErrorCode if c != ErrorCode.NONE)

fetch_state = enum("FETCH", "AWAIT", "DECIDE", "TAKE_PAYLOAD", "DRAIN")


@block
def control_unit(
    clk: Signal,
    reset: Signal,
    stream: Stream,
    hold: Signal,
    load: LoadBus,
    compute: ComputeCommand,
    store: StoreCommand,
    read: ReadCommand,
    form: FormatCommand,
    element: ElementwiseCommand,
    machine: MachineStatus,
    config: ArrayConfig,
):
    """Fetch, check and issue instructions.

    **Ports**

    ======== === =========================================================================================
    clk      in
    reset    in  synchronous, active high; the next flit is a header
    stream   in  instructions (`ready` is driven here)
    hold     in  start nothing of the execute queue
    load     out writes into the memories
    compute  out commands of the execute queue: `start` and fields out, `done` in
    store    out
    read     out
    form     out
    element  out
    machine  out what the registers tell
    ======== === =========================================================================================

    **Timing**: a header takes three cycles (fetch, judge, decide: `pipeline.DECIDE_DELAY`), a payload flit one. A load
    waits in the decide cycle while a queued or running instruction uses one of its resources; the others wait there
    while the queue is full. After an error every flit is taken and dropped until reset; queued instructions complete.
    """
    state = Signal(fetch_state.FETCH)
    header = vector(WORD_BITS)
    header_last = bit()
    header_keep = bit()
    uses = vector(resource_count(config))
    segments = vector(activation_segments(config))
    fault, fault_found = vector(8), vector(8)
    good, good_found = bit(), bit()
    fetching = bit()
    is_load = bit()
    begin_load, prepare = bit(), bit()
    done = bit()
    push = bit()
    word_valid = bit()
    ends_load = bit()
    full = bit()
    empty = bit()
    waits = bit()
    keep_good = bit()
    retire = bit()
    ticket = vector(TICKET_BITS)
    retired = vector(TICKET_BITS)
    locks = [bit() for _ in range(len(uses))]
    locked = ConcatSignal(*reversed(locks))
    takes = [bit() for _ in range(len(uses))]
    opcode_matches = [bit() for _ in INSTRUCTIONS]
    bad_fields = [bit() for _ in INSTRUCTIONS]
    ranges = [bit() for _ in INSTRUCTIONS]
    matched = any_of(opcode_matches)
    matched_load = any_of([match for match, i in zip(opcode_matches, INSTRUCTIONS, strict=True) if i in LOADS])
    bad_field = any_of(bad_fields)
    out_of_range = any_of(ranges)
    first_word = stream.data(WORD_BITS, 0)
    half = config.flit_bytes // 2
    half_kept = (1 << half) - 1  # of 32 bytes, for VHDL's integers have 31 bits

    checks = [
        header_check(clk, fetching, first_word, match, bad, beyond, instruction, config)
        for match, bad, beyond, instruction in zip(opcode_matches, bad_fields, ranges, INSTRUCTIONS, strict=True)
    ]
    user = resource_use(clk, fetching, first_word, uses, segments, config)
    guards = [resource_lock(clk, reset, take, ticket, retire, retired, lock) for take, lock in zip(takes, locks)]  # noqa: B905
    takers = [take_resource(push, uses, take, number) for number, take in enumerate(takes)]
    loader = load_unit(clk, header, prepare, stream.valid, word_valid, stream.data, ends_load, load, config)
    queue = execute_queue(
        clk,
        reset,
        push,
        header,
        segments,
        full,
        empty,
        ticket,
        retire,
        retired,
        hold,
        compute,
        store,
        read,
        form,
        element,
    )

    @always_comb
    def judge():
        fault_found.next = 0
        good_found.next = False
        if matched == 0:
            fault_found.next = _BAD_OPCODE
        elif bad_field != 0:
            fault_found.next = _BAD_FIELD
        elif out_of_range != 0:
            fault_found.next = _OUT_OF_RANGE
        elif header_last and matched_load != 0:
            fault_found.next = _TRUNCATED
        elif not header_keep:
            fault_found.next = _BAD_KEEP
        else:
            good_found.next = True

    # The judgement has a cycle of its own: all that a header starts waits for it.
    @always(clk.posedge)
    def pronounce():
        fault.next = fault_found
        good.next = good_found
        is_load.next = matched_load != 0

    @always_comb
    def decide():
        waits.next = (is_load and (uses & locked) != 0) or (not is_load and full)

    @always_comb
    def act():
        fetching.next = state == fetch_state.FETCH
        keep_good.next = stream.keep[half:] == half_kept and stream.keep[2 * half : half] == half_kept
        stream.ready.next = state != fetch_state.AWAIT and state != fetch_state.DECIDE and not reset
        prepare.next = state != fetch_state.TAKE_PAYLOAD
        begin_load.next = state == fetch_state.DECIDE and good and is_load and (uses & locked) == 0
        push.next = state == fetch_state.DECIDE and good and not is_load and not full
        word_valid.next = state == fetch_state.TAKE_PAYLOAD and stream.valid
        machine.stalled.next = state == fetch_state.DECIDE and good and waits
        machine.idle.next = empty and not stream.valid and (state == fetch_state.FETCH or state == fetch_state.DRAIN)

    @always(clk.posedge)
    def follow():
        machine.failed.next = False
        done.next = False
        if reset:
            state.next = fetch_state.FETCH
            machine.error.next = 0
        elif state == fetch_state.FETCH:
            if stream.valid:
                header.next = stream.data[WORD_BITS:]
                header_last.next = stream.last
                header_keep.next = keep_good
                state.next = fetch_state.AWAIT
        elif state == fetch_state.AWAIT:
            state.next = fetch_state.DECIDE
        elif state == fetch_state.DECIDE:
            if not good:
                machine.error.next = fault
                machine.failed.next = True
                state.next = fetch_state.DRAIN
            elif begin_load:
                state.next = fetch_state.TAKE_PAYLOAD
            elif push:
                done.next = True
                state.next = fetch_state.FETCH
        elif state == fetch_state.TAKE_PAYLOAD and stream.valid:
            if stream.last and not ends_load:
                machine.error.next = _TRUNCATED
                machine.failed.next = True
                state.next = fetch_state.DRAIN
            elif not keep_good:
                machine.error.next = _BAD_KEEP
                machine.failed.next = True
                state.next = fetch_state.DRAIN
            elif ends_load:
                done.next = True
                state.next = fetch_state.FETCH

    # A cycle later: what tells that an instruction is done comes late in its own.
    @always(clk.posedge)
    def count():
        if reset:
            machine.instructions.next = 0
        elif done:
            machine.instructions.next = machine.instructions + 1

    return checks, user, guards, takers, loader, queue, judge, pronounce, decide, act, follow, count


@block
def take_resource(push: Signal, uses: Signal, take: Signal, number: int):
    """A queued instruction takes a resource that it uses."""

    @always_comb
    def combine():
        take.next = push and uses[number]

    return combine
