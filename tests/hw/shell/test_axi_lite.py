"""The registers on the bus are those of their description; address and data come in either order, with any pauses."""

import random

import pytest
from unit_bench import run_unit

from eie import ArrayConfig
from eie.contract import registers
from eie_hw.parts.interfaces import AxiLite, CounterRead, MachineStatus, WideCounters, bit
from eie_hw.shell.axi_lite import axi_lite

CONFIG = ArrayConfig(num_pes=4, entries=64, pointers=16, rows=8, activations=32)
CONTROL, ENABLE, STATUS = (registers.offset(name) for name in ("control", "interrupt_enable", "status"))


class Master:
    """Plays accesses, and keeps what reads return."""

    def __init__(self, seed, pause):
        self.generator = random.Random(seed)
        self.pause = pause
        self.bus, self.machine, self.wide, self.counters = AxiLite(), MachineStatus(), WideCounters(), CounterRead()
        self.reset, self.idle, self.packet_sent, self.soft_reset, self.interrupt = (bit() for _ in range(5))
        self.reads, self.soft_resets, self.clears, self.todo = [], 0, 0, []
        self.current = None
        self.counter_wait = 0

    def build(self, clk):
        return axi_lite(
            clk, self.reset, self.bus, self.machine, self.idle, self.wide, self.counters, self.packet_sent,
            self.soft_reset, self.interrupt, CONFIG,
        )  # fmt: skip

    def drive(self, cycle):
        bus = self.bus
        self.reset.next = cycle == 0
        if self.current is None and self.todo and cycle > 1:
            self.current = [self.todo.pop(0), set()]
        access, given = self.current or (None, set())
        go = [self.generator.random() >= self.pause for _ in range(4)]
        if access and access[0] == "call":
            access[1]()
            self.current = None
            access = None
        reading, writing = access is not None and access[0] == "read", access is not None and access[0] == "write"
        # What is offered stays until it is taken.
        bus.arvalid.next = reading and "address" not in given and (bool(bus.arvalid) or go[0])
        bus.awvalid.next = writing and "address" not in given and (bool(bus.awvalid) or go[1])
        bus.wvalid.next = writing and "data" not in given and (bool(bus.wvalid) or go[2])
        if reading:
            bus.araddr.next = access[1]
        if writing:
            bus.awaddr.next, bus.wdata.next, bus.wstrb.next = access[1:4]
        bus.rready.next = bus.bready.next = go[3]
        # A counter is ready some cycles after it is asked for.
        self.counter_wait = self.counter_wait + 1 if self.counters.enable else 0
        self.counters.ready.next = self.counter_wait == 3
        self.counters.value.next = 1000 * int(self.counters.pe) + int(self.counters.select)

    def look(self, cycle):
        bus = self.bus
        self.soft_resets += bool(self.soft_reset)
        self.clears += bool(self.counters.clear)
        if self.current is None:
            return
        given = self.current[1]
        if (bus.arvalid and bus.arready) or (bus.awvalid and bus.awready):
            given.add("address")
        if bus.wvalid and bus.wready:
            given.add("data")
        if bus.rvalid and bus.rready:
            assert bus.rresp == 0
            assert "address" in given
            self.reads.append(int(bus.rdata))
            self.current = None
        elif bus.bvalid and bus.bready and {"address", "data"} <= given:
            assert bus.bresp == 0
            self.current = None

    def read(self, *offsets):
        self.todo += [("read", offset) for offset in offsets]

    def write(self, offset, value, strobe=0xF):
        self.todo.append(("write", offset, value, strobe))

    def call(self, function):
        self.todo.append(("call", function))

    def run(self, cycles=1500):
        run_unit(self.build, self.drive, self.look, cycles)
        assert not self.todo and self.current is None


@pytest.mark.parametrize("pause", [0, 0.6])
def test_constants_counters_and_unknown_offsets_read_as_described(pause):
    master = Master(1, pause)
    constants = registers.constant_values(CONFIG)
    wide = {name: (7 + i) << 32 | (99 + i) for i, name in enumerate(registers.WIDE_COUNTERS)}

    def set_counters():
        for name, value in wide.items():
            getattr(master.wide, name).next = value

    master.call(set_counters)
    master.read(*constants)
    for name in wide:
        master.read(registers.offset(f"{name}_low"), registers.offset(f"{name}_high"))
    pe_counters = [(pe, i) for pe in range(CONFIG.num_pes) for i in range(len(registers.PE_COUNTERS))]
    master.read(*(registers.counter_offset(pe, registers.PE_COUNTERS[i]) for pe, i in pe_counters))
    master.read(0x3F0, registers.counter_offset(CONFIG.num_pes, "work"))
    master.run(3000)
    expected = [*constants.values()]
    for value in wide.values():
        expected += [value & 0xFFFFFFFF, value >> 32]
    expected += [1000 * pe + i for pe, i in pe_counters]
    assert master.reads == [*expected, 0, 0]


@pytest.mark.parametrize("pause", [0, 0.6])
def test_control_acts_once_for_each_write_of_its_low_byte(pause):
    master = Master(2, pause)
    master.write(CONTROL, registers.CONTROL_SOFT_RESET)
    master.write(CONTROL, registers.CONTROL_SOFT_RESET, strobe=0xE)
    master.write(CONTROL, registers.CONTROL_CLEAR_COUNTERS)
    master.write(0x3F0, 0xFF)
    master.write(CONTROL, 0)
    master.write(ENABLE, 2)
    master.read(ENABLE)
    master.run()
    assert (master.soft_resets, master.clears) == (1, 1)
    assert master.reads == [2]


@pytest.mark.parametrize("pause", [0, 0.6])
def test_the_owner_is_kept_until_a_soft_reset_and_written_by_whole_words_only(pause):
    master = Master(4, pause)
    owner = registers.offset("owner")
    master.read(owner)
    master.write(owner, 0xDEADBEEF)
    master.write(owner, 0x12345678, strobe=0x7)
    master.write(CONTROL, registers.CONTROL_CLEAR_COUNTERS)
    master.write(CONTROL, registers.CONTROL_SOFT_RESET, strobe=0xE)
    master.read(owner)
    master.write(CONTROL, registers.CONTROL_SOFT_RESET)
    master.read(owner)
    master.run()
    assert master.reads == [0, 0xDEADBEEF, 0]


def test_an_error_or_a_sent_packet_interrupts_if_enabled_until_it_is_cleared():
    master = Master(3, 0.3)
    levels = []

    def note():
        levels.append(bool(master.interrupt))

    def pulse(signal):
        def give():
            signal.next = True

        def end():
            signal.next = False

        master.call(give)
        master.call(end)
        master.read(STATUS)
        master.call(note)

    pulse(master.machine.failed)
    master.write(ENABLE, 1)
    pulse(master.packet_sent)
    pulse(master.machine.failed)
    master.write(CONTROL, registers.CONTROL_CLEAR_INTERRUPT)
    master.read(STATUS)
    master.write(ENABLE, 2)
    pulse(master.packet_sent)
    master.run()
    pending = registers.STATUS_INTERRUPT
    assert levels == [False, False, True, True]
    assert [value & pending for value in master.reads] == [0, 0, pending, 0, pending]
