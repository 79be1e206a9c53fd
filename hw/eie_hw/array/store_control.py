"""The course of a STORE or ELEMENTWISE: which accumulator or lane each cycle, where its output goes; the sweep."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block, concat, enum, intbv, modbv

from eie.contract.config import ACTIVATIONS_PER_WORD, ArrayConfig
from eie.contract.functions import MULTIPLIED, Operation
from eie.contract.pipeline import (
    ELEMENT_BEGIN,
    ENTRY_LATENCY,
    OPERAND_DELAY,
    SCALE_LATENCY,
    STORE_BEGIN,
    STORE_END,
    STORE_HOLD,
    STORE_RELEASE,
    STORE_SELECT,
    STORE_WRITE,
)
from eie_hw.parts.array_interfaces import AccumulatorSteps, OperandRead, OutputSelect, OutputStep
from eie_hw.parts.delay_line import delay_line
from eie_hw.parts.interfaces import ADDRESS_BITS, ElementwiseCommand, StoreCommand, bit, vector

_COPY, _MULTIPLY = int(Operation.COPY), int(Operation.MULTIPLY)
_MULTIPLIED = min(MULTIPLIED)


@block
def store_control(
    clk,
    reset,
    store: StoreCommand,
    command: ElementwiseCommand,
    load,
    clearing,
    elementwise,
    operands: OperandRead,
    steps: AccumulatorSteps,
    select: OutputSelect,
    output: OutputStep,
    config: ArrayConfig,
):
    """Step through the accumulators: for each local row, one PE of each cluster after another. Of an ELEMENTWISE, step
    through the lanes: for each group, one lane of each cluster after another.

    **Ports**

    =========== === ======================================================================================
    store       in  the STORE; `released` and `done` are out
    command     in  the ELEMENTWISE; `done` is out
    load        in  no step in this cycle: its write would meet that of a group loaded
    clearing    out the sweep after reset is in progress, from the cycle after reset on
    elementwise out an ELEMENTWISE is in progress, or was the last of the two
    operands    out the group to read
    steps       out to all PEs, with a bit for each PE of a cluster
    select      out the PE whose accumulator is next at the output units, its row of the biases; or the lane
    output      out where the output goes that the output units have one cycle later
    =========== === ======================================================================================

    **Timing**: the first step comes STORE_BEGIN after `start`. A step in cycle t has `steps.hold` in t + STORE_HOLD and
    in the next cycle, `steps.advance` in t + STORE_HOLD + ENTRY_LATENCY, `select` in t + STORE_SELECT, `output` in
    t + STORE_WRITE. One step a cycle; a PE's next step is at least two cycles later.
    `released` comes STORE_RELEASE cycles after the last step, `done` STORE_END. Of a scaled STORE, `output` and both
    come SCALE_LATENCY later, and no load of an activation while it runs. An ELEMENTWISE reads the operands of a group
    OPERAND_DELAY cycles after the steps of its lanes 0 and 1; its first step is ELEMENT_BEGIN after its start, and what
    it multiplies is late as what is scaled. No load of an activation while it runs. The sweep takes `rows` + 10 cycles
    from reset.
    """
    elements = min(config.num_pes, ACTIVATIONS_PER_WORD)
    last_element = elements - 1
    last_lane = ACTIVATIONS_PER_WORD - 1
    rest_needed = elements == 1
    row_bits = len(select.bias_row)
    group_bits = len(output.group)
    rows = config.rows
    has_halves, has_quarters = rows > 1, rows > 2
    top, below = row_bits - 1, max(0, row_bits - 2)
    elements_wide = len(steps.advance)
    all_elements = (1 << ACTIVATIONS_PER_WORD) - 1
    end_delay = STORE_END - 2
    late_end_delay = STORE_END + SCALE_LATENCY - 2
    release_time = STORE_END - STORE_RELEASE
    settle_delay = ELEMENT_BEGIN - STORE_BEGIN
    group_end = row_bits + group_bits
    path_bits = 2 + 2 + 2 + group_bits + row_bits

    state_type = enum("idle", "sweep_begin", "sweep", "sweep_end", "settle", "steps", "finish")
    state = Signal(state_type.idle)
    row, last_row = vector(ADDRESS_BITS), vector(ADDRESS_BITS)
    timer = Signal(intbv(0, min=0, max=max(rows, STORE_END + SCALE_LATENCY, 16) + 1))
    element, step_lane = vector(2), vector(2)
    step_group = vector(ADDRESS_BITS)
    source_group = vector(ADDRESS_BITS)
    step, plain_step, late_step, resting, stepping = (bit() for _ in range(5))
    late, two_operands, row_end = bit(), bit(), bit()
    stepped, stepped_soon = vector(elements_wide), vector(elements_wide)
    swept, swept_soon = vector(1), vector(1)
    placed = vector(row_bits)
    asking, operand_group = bit(), vector(group_bits)
    request, request_in_time = vector(2 + group_bits), vector(2 + group_bits)
    path, path_selected, path_written, path_late = (vector(path_bits) for _ in range(4))
    biased_row = Signal(modbv(0)[row_bits:])

    @always_comb
    def kind():
        two_operands.next = command.operation != _COPY and command.operation <= _MULTIPLY
        if elementwise:
            late.next = command.operation >= _MULTIPLIED
            row_end.next = step_lane == last_lane
        else:
            late.next = store.scaled
            row_end.next = element == last_element

    @always_comb
    def find_operands():
        asking.next = elementwise and stepping and not step_lane[1]
        if two_operands and not step_lane[0]:
            operand_group.next = step_group[group_bits:]
        else:
            operand_group.next = source_group[group_bits:]

    @always_comb
    def ask():
        request.next = concat(asking, step_lane[0], operand_group)

    delay_request = delay_line(clk, request, request_in_time, OPERAND_DELAY)

    @always_comb
    def read_operands():
        operands.enable.next = request_in_time[group_bits + 1]
        operands.group.next = request_in_time[group_bits:]

    @always(clk.posedge)
    def tell_operands():
        select.take_first.next = request_in_time[group_bits + 1] and not request_in_time[group_bits]
        select.take_second.next = select.take_first

    @always_comb
    def decide():
        step.next = stepping and not load and not resting
        plain_step.next = stepping and not load and not resting and not late
        late_step.next = stepping and not load and not resting and late

    # `stepping` is the state in which steps are made, as a bit of its own.
    @always(clk.posedge)
    def advance_state():
        store.released.next = state == state_type.finish and timer == release_time and not elementwise
        store.done.next = False
        command.done.next = False
        if timer != 0:
            timer.next = timer - 1

        if state == state_type.idle:
            row.next = 0
            element.next = 0
            step_lane.next = 0
            if store.start:
                elementwise.next = False
                last_row.next = store.count - 1
                state.next = state_type.steps
                stepping.next = True
            elif command.start:
                elementwise.next = True
                last_row.next = command.count - 1
                timer.next = settle_delay
                state.next = state_type.settle
        elif state == state_type.settle:
            if timer == 1:
                state.next = state_type.steps
                stepping.next = True
        elif state == state_type.sweep_begin:
            row.next = 0
            timer.next = rows
            state.next = state_type.sweep
        elif state == state_type.sweep:
            row.next = row + 1
            if timer == 1:
                timer.next = 8
                state.next = state_type.sweep_end
        elif state == state_type.sweep_end:
            if timer == 0:
                clearing.next = False
                state.next = state_type.idle
        elif state == state_type.steps:
            if step:
                if step_lane == last_lane:
                    step_lane.next = 0
                else:
                    step_lane.next = step_lane + 1
                if row_end:
                    element.next = 0
                    row.next = row + 1
                    if row == last_row:
                        if late:
                            timer.next = late_end_delay
                        else:
                            timer.next = end_delay
                        state.next = state_type.finish
                        stepping.next = False
                else:
                    element.next = element + 1
        elif timer == 0:
            store.done.next = not elementwise
            command.done.next = elementwise
            state.next = state_type.idle

        if reset:
            state.next = state_type.sweep_begin
            stepping.next = False
            clearing.next = True
            elementwise.next = False
            store.released.next = False
            store.done.next = False
            command.done.next = False

    @always(clk.posedge)
    def count_groups():
        if not stepping:
            source_group.next = command.source
            if store.start:
                step_group.next = store.address
            else:
                step_group.next = command.address
        elif step and step_lane == last_lane:
            step_group.next = step_group + 1
            source_group.next = source_group + 1

    # The row is that of the next step; in the part that the STORE reads, its upper bits are others.
    @always_comb
    def place():
        placed.next = row[row_bits:]
        if has_halves and store.part > 1 and not clearing:
            if store.part[2] and has_quarters:
                placed.next[top] = store.part[1]
                placed.next[below] = store.part[0]
            else:
                placed.next[top] = store.part[0]

    @always(clk.posedge)
    def strobes():
        resting.next = step and rest_needed and not elementwise
        swept.next = state == state_type.sweep
        for i in range(elements_wide):
            stepped.next[i] = step and element == i and not elementwise
            steps.hold.next[i] = (step and element == i and not elementwise) or stepped[i]

    delay_steps = delay_line(clk, stepped, stepped_soon, ENTRY_LATENCY - 1)
    delay_sweep = delay_line(clk, swept, swept_soon, ENTRY_LATENCY - 1)
    delay_row = delay_line(clk, placed, steps.row, STORE_HOLD + ENTRY_LATENCY + 1)

    @always(clk.posedge)
    def follow():
        if swept_soon:
            steps.advance.next = all_elements
            steps.clear.next = all_elements
        else:
            steps.advance.next = stepped_soon
            steps.clear.next = steps.advance

    @always_comb
    def gather():
        biased_row.next = row[row_bits:] + store.bias[row_bits:]
        path.next = concat(late_step, plain_step, element, step_lane, step_group[group_bits:], biased_row)

    delay_select = delay_line(clk, path, path_selected, STORE_SELECT)
    delay_write = delay_line(clk, path_selected, path_written, STORE_WRITE - STORE_SELECT)

    delay_late = delay_line(clk, path_written, path_late, SCALE_LATENCY)

    @always_comb
    def outputs():
        select.element.next = path_selected[group_end + 4 : group_end + 2]
        select.bias_row.next = path_selected[row_bits:]
        # Whether a step is of a plain or of a scaled STORE goes with it: both kinds may be on their way.
        output.write.next = path_written[group_end + 4] or path_late[group_end + 5]
        if path_late[group_end + 5]:
            output.lane.next = path_late[group_end + 2 : group_end]
            output.group.next = path_late[group_end:row_bits]
        else:
            output.lane.next = path_written[group_end + 2 : group_end]
            output.group.next = path_written[group_end:row_bits]

    return (
        kind, find_operands, ask, delay_request, read_operands, tell_operands, decide, advance_state, count_groups,
        place, strobes, delay_steps, delay_sweep, delay_row, follow, gather, delay_select, delay_write, delay_late,
        outputs,
    )  # fmt: skip
