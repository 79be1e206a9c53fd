"""Signal bundles between the units. Directions are given from the control unit's side.

All signals are registered by their driver unless the docstring says otherwise.
"""

from __future__ import annotations

from myhdl import Signal, intbv, modbv

from eie.contract.config import ACTIVATION_BITS, WORD_BITS, ArrayConfig
from eie.contract.isa import CODEBOOK, COMPUTE, ELEMENTWISE, ENTRIES, FORMAT, READ, STORE, Instruction
from eie.contract.registers import ADDRESS_BITS as REGISTER_ADDRESS_BITS
from eie.contract.registers import WIDE_COUNTERS

ADDRESS_BITS = COMPUTE.field("address").width
"""Width of every address and count in the instruction set."""


def vector(bits: int) -> Signal:
    """Return an unsigned signal of at least one bit."""
    return Signal(intbv(0)[max(1, bits) :])


def bit() -> Signal:
    """Return a one-bit signal."""
    return Signal(bool(0))


def counter(bits: int) -> Signal:
    """Return an unsigned signal that wraps around."""
    return Signal(modbv(0)[bits:])


class Stream:
    """AXI4-Stream, of 64-bit words unless told otherwise: `valid` and `data` hold until `ready`."""

    def __init__(self, bits: int = WORD_BITS) -> None:
        self.data = vector(bits)
        self.keep = vector(bits // 8)
        self.last = bit()
        self.valid = bit()
        self.ready = bit()


class LoadBus:
    """Writes into the array's memories, one beat a cycle, never refused.

    Exactly one of the write strobes is high in a cycle, or none.

    =================== ====== =======================================================================
    scale_write         out    `address`: local row; `pe`: a PE of a cluster, and 16 PEs; `data`: 4 row scales
    pointer_write       out    `address`: pointer pair; `pe`: pair of PEs; `data`: their two pairs
    length_write        out    `address`: pointer pair; `pe`: eight PEs; `data`: lengths of their even and odd columns;
                               `first`: those are the first columns of the load
    entry_write         out    `address`: word; `pe`: PE; `data`: one sparse-matrix word
    codebook_write      out    `address`: word 0 to 3 of the codebook; `slot`; `data`: 4 weights
    bias_write          out    `address`: local row; `pe`: a pair of PEs of a cluster, and a cluster; `data`: 2 biases
    activation_write    out    `address`: group; `pe`: word of the group (4 lanes); `data`: 4 activations
    group_end           out    with it: the group's last word
    bank, slot          out    of the instruction
    =================== ====== =======================================================================

    With a stream of k words at once, `data` are k of these, which `pe` (of a codebook `address`) counts together; of
    entries it is the first PE. The words are side by side, and so are the beats of entries and pointers.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.data = vector(8 * config.beat_bytes * config.flit_words)
        self.address = vector(ADDRESS_BITS)
        self.pe = vector(ENTRIES.field("pe").width)
        self.bank = bit()
        self.slot = vector(CODEBOOK.field("slot").width)
        self.first = bit()
        self.pointer_write = bit()
        self.length_write = bit()
        self.entry_write = bit()
        self.codebook_write = bit()
        self.bias_write = bit()
        self.scale_write = bit()
        self.activation_write = bit()
        self.group_end = bit()


class Command:
    """An instruction of the execute queue: `start`, `done`, and the fields of its header by their names."""

    def __init__(self, instruction: Instruction) -> None:
        self.start = bit()
        self.done = bit()
        for field in instruction.fields:
            setattr(self, field.name, bit() if field.width == 1 else vector(field.width))


class ComputeCommand(Command):
    """A COMPUTE: fields hold from `start` (one cycle) until `ready`, which falls in the cycle after `start`; then
    the next one may start.

    `done` (one cycle, in a later cycle) comes when the last accumulator is written and visible to a STORE or COMPUTE
    started in the next cycle. At most `pipeline.COMPUTES_AT_ONCE` are between `start` and `done`, which come in order.
    """

    def __init__(self) -> None:
        super().__init__(COMPUTE)
        self.ready = bit()


class StoreCommand(Command):
    """A STORE: fields hold from `start` until `done`. From the cycle after `released` on, COMPUTEs and READs may be
    taken that use its activations or accumulators: they find them done."""

    def __init__(self) -> None:
        super().__init__(STORE)
        self.released = bit()


class FormatCommand(Command):
    """A FORMAT: fields hold from `start` until `done`."""

    def __init__(self) -> None:
        super().__init__(FORMAT)


class ElementwiseCommand(Command):
    """An ELEMENTWISE: as a STORE."""

    def __init__(self) -> None:
        super().__init__(ELEMENTWISE)


class ReadCommand(Command):
    """A READ: fields hold from `start` until `done`; then the activations may be overwritten."""

    def __init__(self) -> None:
        super().__init__(READ)


class ActivationRead:
    """The READ port of the activation memory: 4 activations for (`group`, `word`) some fixed cycles after `enable`.

    A group's word 0 is asked for first, then others of the same group. `valid` accompanies `data`.
    """

    def __init__(self) -> None:
        self.enable = bit()
        self.group = vector(ADDRESS_BITS)
        self.word = vector(8)
        self.valid = bit()
        self.data = vector(4 * ACTIVATION_BITS)


class CounterRead:
    """Per-PE counters: `value` of counter `select` (order of `registers.PE_COUNTERS`) of PE `pe`, valid when
    `ready` is high after `enable` was raised; `enable` holds until then. `clear` (one cycle) zeroes all counters."""

    def __init__(self) -> None:
        self.enable = bit()
        self.pe = vector(8)
        self.select = vector(2)
        self.ready = bit()
        self.value = vector(32)
        self.clear = bit()


class Status:
    """From the array: `broadcast` is high in every cycle in which an activation is broadcast (for the counter);
    `computing` in every cycle from the `start` of a COMPUTE to its `done`: the cycles that are counted;
    `starting` in those of them before the first activation of a COMPUTE in progress has arrived at the PEs;
    `drained` with the `done` of a COMPUTE that broadcast something, if no other has started;
    `saturated`, the outputs found lost to saturation in this cycle;
    `clearing` while the array zeroes its accumulators after reset: no command may start meanwhile."""

    def __init__(self, config: ArrayConfig) -> None:
        self.broadcast = bit()
        self.computing = bit()
        self.starting = bit()
        self.drained = bit()
        self.saturated = vector(config.words_per_group.bit_length())
        self.clearing = bit()


class MachineStatus:
    """From the control unit to the registers.

    ============= ======================================================================================
    idle          nothing queued, running or arriving
    stalled       an instruction waits for a memory in use or for a place in the execute queue
    failed        one cycle when an error is found
    error         `eie.contract.isa.ErrorCode`, until reset
    instructions  complete loads and queued others since reset; after an error, the index of the culprit
    ============= ======================================================================================
    """

    def __init__(self) -> None:
        self.idle = bit()
        self.stalled = bit()
        self.failed = bit()
        self.error = vector(8)
        self.instructions = counter(32)


WIDE_COUNTER_BITS = 48
"""Bits of the machine's own counters, which the registers show as 64: they wrap after 32 days at 100 MHz."""


class WideCounters:
    """Counters of the machine, by the names of `eie.contract.registers.WIDE_COUNTERS`."""

    def __init__(self) -> None:
        for name in WIDE_COUNTERS:
            setattr(self, name, counter(WIDE_COUNTER_BITS))


class AxiLite:
    """AXI4-Lite, the slave's view; protection bits are ignored, responses are always OKAY."""

    def __init__(self) -> None:
        self.awaddr = vector(REGISTER_ADDRESS_BITS)
        self.awprot = vector(3)
        self.awvalid = bit()
        self.awready = bit()
        self.wdata = vector(32)
        self.wstrb = vector(4)
        self.wvalid = bit()
        self.wready = bit()
        self.bresp = vector(2)
        self.bvalid = bit()
        self.bready = bit()
        self.araddr = vector(REGISTER_ADDRESS_BITS)
        self.arprot = vector(3)
        self.arvalid = bit()
        self.arready = bit()
        self.rdata = vector(32)
        self.rresp = vector(2)
        self.rvalid = bit()
        self.rready = bit()
