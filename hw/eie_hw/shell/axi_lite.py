"""The AXI4-Lite slave: serves the registers of `eie.contract.registers`."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block, enum

from eie.contract.config import ArrayConfig
from eie.contract.registers import (
    COUNTERS_BASE,
    COUNTERS_STRIDE,
    PE_COUNTERS,
    REGISTERS,
    STATUS_ERROR_SHIFT,
    constant_values,
    offset,
)
from eie_hw.parts.interfaces import (
    WIDE_COUNTER_BITS,
    AxiLite,
    CounterRead,
    MachineStatus,
    WideCounters,
    bit,
    vector,
)

WORD_SHIFT = 2
"""A register every four bytes."""

_FIXED_BITS = (max(r.offset for r in REGISTERS) >> WORD_SHIFT).bit_length()
_PE_SHIFT = COUNTERS_STRIDE.bit_length() - 1
_PAGE_SHIFT = COUNTERS_BASE.bit_length() - 1

read_state = enum("AWAIT_ADDRESS", "FIND", "LOOK", "AWAIT_COUNTER", "RESPOND")


@block
def axi_lite(
    clk: Signal,
    reset: Signal,
    bus: AxiLite,
    machine: MachineStatus,
    idle: Signal,
    wide: WideCounters,
    pe_counters: CounterRead,
    packet_sent: Signal,
    soft_reset: Signal,
    interrupt: Signal,
    config: ArrayConfig,
):
    """Registers of the machine.

    **Ports**

    ============ === ===============================================================================
    clk          in
    reset        in  synchronous, active high; a soft reset is not one, so that its write completes
    bus          in  AXI4-Lite; address and data of a write may come in either order
    machine      in  status of the control unit
    idle         in  status bit "idle"
    wide         in  the machine's counters
    pe_counters  out read port of the per-PE counters, and `clear` for all counters
    packet_sent  in  one cycle when the last word of a packet has gone to the host
    soft_reset   out one cycle
    interrupt    out level, until cleared through the control register
    ============ === ===============================================================================

    **Timing**: a read takes four cycles, of a PE's counter as long as the counter takes; a write takes two.
    Unknown offsets read 0 and ignore writes; all responses are OKAY.
    """
    state = Signal(read_state.AWAIT_ADDRESS)
    address = vector(len(bus.araddr))
    index = vector(_FIXED_BITS)
    constant_word, wide_word = vector(32), vector(32)
    is_fixed = bit()
    is_counter = bit()
    write_address = vector(len(bus.awaddr))
    write_byte = vector(8)
    write_enable = bit()
    write_data = vector(32)
    write_whole = bit()
    owner = vector(32)
    have_address = bit()
    have_data = bit()
    responding = bit()
    interrupt_enable = vector(2)
    pending = bit()

    values = constant_values(config)
    constants = tuple(values.get(number << WORD_SHIFT, 0) for number in range(1 << _FIXED_BITS))
    status = offset("status") >> WORD_SHIFT
    error_index = offset("error_index") >> WORD_SHIFT
    instructions = offset("instructions") >> WORD_SHIFT
    enable = offset("interrupt_enable") >> WORD_SHIFT
    cycles_low, cycles_high = offset("cycles_low") >> WORD_SHIFT, offset("cycles_high") >> WORD_SHIFT
    broadcasts_low, broadcasts_high = offset("broadcasts_low") >> WORD_SHIFT, offset("broadcasts_high") >> WORD_SHIFT
    busy_low, busy_high = offset("busy_low") >> WORD_SHIFT, offset("busy_high") >> WORD_SHIFT
    stalled_low, stalled_high = offset("stalled_low") >> WORD_SHIFT, offset("stalled_high") >> WORD_SHIFT
    start_low, start_high = offset("start_low") >> WORD_SHIFT, offset("start_high") >> WORD_SHIFT
    drain_low, drain_high = offset("drain_low") >> WORD_SHIFT, offset("drain_high") >> WORD_SHIFT
    saturated_low, saturated_high = offset("saturated_low") >> WORD_SHIFT, offset("saturated_high") >> WORD_SHIFT
    owner_index = offset("owner") >> WORD_SHIFT
    control_offset, enable_offset, owner_offset = offset("control"), offset("interrupt_enable"), offset("owner")
    error_high = STATUS_ERROR_SHIFT + len(machine.error)
    fixed_high = _FIXED_BITS + WORD_SHIFT
    pe_high = _PE_SHIFT + len(pe_counters.pe)
    select_high = WORD_SHIFT + (len(PE_COUNTERS) - 1).bit_length()
    num_pes = config.num_pes
    high_bits = WIDE_COUNTER_BITS

    @always_comb
    def decode():
        index.next = address[fixed_high:WORD_SHIFT]
        is_fixed.next = address[:fixed_high] == 0
        is_counter.next = address[:_PAGE_SHIFT] == 1 and address[pe_high:_PE_SHIFT] < num_pes

    @always_comb
    def look_up():
        constant_word.next = constants[index]

    @always(clk.posedge)
    def read():
        if reset:
            state.next = read_state.AWAIT_ADDRESS
            pe_counters.enable.next = False
        elif state == read_state.AWAIT_ADDRESS:
            address.next = bus.araddr
            if bus.arvalid:
                state.next = read_state.FIND
        elif state == read_state.FIND:
            state.next = read_state.LOOK
            if is_counter:
                state.next = read_state.AWAIT_COUNTER
                pe_counters.enable.next = True
                pe_counters.pe.next = address[pe_high:_PE_SHIFT]
                pe_counters.select.next = address[select_high:WORD_SHIFT]
            # The many counters first, for a cycle is short for all registers.
            wide_word.next = 0
            if index == cycles_low:
                wide_word.next = wide.cycles[32:]
            elif index == cycles_high:
                wide_word.next = wide.cycles[high_bits:32]
            elif index == broadcasts_low:
                wide_word.next = wide.broadcasts[32:]
            elif index == broadcasts_high:
                wide_word.next = wide.broadcasts[high_bits:32]
            elif index == busy_low:
                wide_word.next = wide.busy[32:]
            elif index == busy_high:
                wide_word.next = wide.busy[high_bits:32]
            elif index == stalled_low:
                wide_word.next = wide.stalled[32:]
            elif index == stalled_high:
                wide_word.next = wide.stalled[high_bits:32]
            elif index == start_low:
                wide_word.next = wide.start[32:]
            elif index == start_high:
                wide_word.next = wide.start[high_bits:32]
            elif index == drain_low:
                wide_word.next = wide.drain[32:]
            elif index == drain_high:
                wide_word.next = wide.drain[high_bits:32]
            elif index == saturated_low:
                wide_word.next = wide.saturated[32:]
            elif index == saturated_high:
                wide_word.next = wide.saturated[high_bits:32]
        elif state == read_state.LOOK:
            state.next = read_state.RESPOND
            bus.rdata.next = 0
            if is_fixed:
                bus.rdata.next = constant_word | wide_word
                if index == status:
                    bus.rdata.next[0] = idle
                    bus.rdata.next[1] = pending
                    bus.rdata.next[error_high:STATUS_ERROR_SHIFT] = machine.error
                elif index == error_index:
                    if machine.error != 0:
                        bus.rdata.next = machine.instructions
                elif index == instructions:
                    bus.rdata.next = machine.instructions
                elif index == enable:
                    bus.rdata.next[2:] = interrupt_enable
                elif index == owner_index:
                    bus.rdata.next = owner
        elif state == read_state.AWAIT_COUNTER:
            bus.rdata.next = pe_counters.value
            if pe_counters.ready:
                pe_counters.enable.next = False
                state.next = read_state.RESPOND
        elif bus.rready:
            state.next = read_state.AWAIT_ADDRESS

    @always(clk.posedge)
    def write():
        soft_reset.next = False
        pe_counters.clear.next = False
        if reset:
            have_address.next = False
            have_data.next = False
            responding.next = False
            interrupt_enable.next = 0
            owner.next = 0
        elif have_address and have_data and not responding:
            have_address.next = False
            have_data.next = False
            responding.next = True
            if write_enable and write_address == control_offset:
                soft_reset.next = write_byte[0]
                pe_counters.clear.next = write_byte[1]
                if write_byte[0]:
                    owner.next = 0
            if write_whole and write_address == owner_offset:
                owner.next = write_data
            if write_enable and write_address == enable_offset:
                interrupt_enable.next = write_byte[2:]
        else:
            if bus.bready:
                responding.next = False
            if bus.awvalid and not have_address:
                have_address.next = True
                write_address.next = bus.awaddr
            if bus.wvalid and not have_data:
                have_data.next = True
                write_byte.next = bus.wdata[8:]
                write_enable.next = bus.wstrb[0]
                write_data.next = bus.wdata
                write_whole.next = bus.wstrb == 15

    @always(clk.posedge)
    def interrupt_host():
        if reset or soft_reset:
            pending.next = False
        elif (machine.failed and interrupt_enable[0]) or (packet_sent and interrupt_enable[1]):
            pending.next = True
        elif have_address and have_data and not responding and write_enable and write_address == control_offset:
            if write_byte[2]:
                pending.next = False

    @always_comb
    def answer():
        bus.arready.next = state == read_state.AWAIT_ADDRESS and not reset
        bus.rvalid.next = state == read_state.RESPOND
        bus.rresp.next = 0
        bus.awready.next = not have_address and not reset
        bus.wready.next = not have_data and not reset
        bus.bvalid.next = responding
        bus.bresp.next = 0
        interrupt.next = pending

    return decode, look_up, read, write, interrupt_host, answer
