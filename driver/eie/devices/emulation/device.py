"""The numpy emulation: executes the instruction stream bit-exactly, with the machine's memories and error codes.

The bytes are those that hardware gets. Instructions run one after another; where a transfer repeats one program
with other activations, as a batch does, all repetitions run at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from eie.arguments import require_type
from eie.contract import isa, registers
from eie.contract.config import ArrayConfig
from eie.contract.isa import ErrorCode
from eie.devices.emulation.machine import Machine
from eie.devices.emulation.repetitions import Decoded, Unit
from eie.devices.emulation.state import State
from eie.errors import DeviceError

# Activations and accumulators of a batch of repetitions take at most about this much.
_BATCH_BYTES = 128 << 20
# Up to here they are kept for the next batch.
_KEPT_BYTES = 32 << 20


class EmulatedDevice:
    """An EIE array in numpy. It has no clock: its counters of cycles read 0 (`eie.cycles` gives them).

    Parameters
    ----------
    config : ArrayConfig, optional
        Default: the array of the boards, ``ArrayConfig()``.

    Attributes
    ----------
    machine : Machine
        Memories and accumulators.
    """

    def __init__(self, config: ArrayConfig | None = None) -> None:
        self.config = ArrayConfig() if config is None else config
        require_type(self.config, ArrayConfig, "config", "an eie.ArrayConfig", DeviceError)
        self._closed = False
        self.machine = Machine(self.config)
        # The same few headers come with every inference.
        self._header = lru_cache(maxsize=1 << 16)(self._decode_header)
        self._constants = registers.constant_values(self.config)
        self._interrupt_enable = 0
        self._unit: Unit | None = None
        self._unit_loads = 0
        self._spare_state: State | None = None
        self._soft_reset()

    # The device interface.

    def allocate(self, nbytes: int) -> NDArray[np.uint8]:
        """Return a buffer of nbytes."""
        self._require_open()
        return np.empty(nbytes, np.uint8)

    def release(self, buffer: NDArray[np.uint8]) -> None:
        """Nothing to free."""

    def send(self, buffer: NDArray[np.uint8], reply_bytes: int = 0, changed: Sequence[slice] | None = None) -> None:
        """Execute one packet of instructions."""
        self._require_open()
        data = np.ascontiguousarray(buffer).view(np.uint8).ravel()
        if len(data) % self.config.flit_bytes:
            raise DeviceError(f"a transfer of {len(data)} bytes is not a multiple of {self.config.flit_bytes}")
        if self._error is ErrorCode.NONE:
            self._execute(data.view("<u8"))

    def receive(self, nbytes: int) -> NDArray[np.uint8]:
        """Return the next packet, at most nbytes; empty if there is none."""
        self._require_open()
        if not self._packets:
            return np.zeros(0, np.uint8)
        if len(self._packets[0]) > nbytes:
            raise DeviceError(f"the device returned {len(self._packets[0])} bytes, the receiver has room for {nbytes}")
        return self._packets.popleft()

    def read_register(self, offset: int) -> int:
        """Read a register of `eie.contract.registers`; an unknown offset reads 0."""
        self._require_open()
        if offset in self._constants:
            return self._constants[offset]
        if offset >= registers.COUNTERS_BASE:
            pe, rest = divmod(offset - registers.COUNTERS_BASE, registers.COUNTERS_STRIDE)
            counts = self.pe_counts()[registers.PE_COUNTERS[rest // 4]]
            return int(counts[pe]) & 0xFFFFFFFF if pe < self.config.num_pes else 0
        values = {
            "status": registers.STATUS_IDLE
            | registers.STATUS_INTERRUPT * self._interrupt
            | self._error << registers.STATUS_ERROR_SHIFT,
            "error_index": self._error_index,
            "instructions": self._instructions & 0xFFFFFFFF,
            "interrupt_enable": self._interrupt_enable,
            "owner": self._owner,
        }
        for name, count in self.wide_counts().items():
            values[f"{name}_low"], values[f"{name}_high"] = count & 0xFFFFFFFF, count >> 32
        return next((int(v) for name, v in values.items() if registers.offset(name) == offset), 0)

    def write_register(self, offset: int, value: int) -> None:
        """Write a register of `eie.contract.registers`; writing a read-only one has no effect."""
        self._require_open()
        if offset == registers.offset("interrupt_enable"):
            self._interrupt_enable = value & 3
        elif offset == registers.offset("owner"):
            self._owner = value & 0xFFFFFFFF
        elif offset == registers.offset("control"):
            if value & registers.CONTROL_SOFT_RESET:
                self._soft_reset()
            if value & registers.CONTROL_CLEAR_COUNTERS:
                self.clear_counters()
            if value & registers.CONTROL_CLEAR_INTERRUPT:
                self._interrupt = False

    def close(self) -> None:
        """End the use of the device."""
        self._closed = True

    def _require_open(self) -> None:
        if self._closed:
            raise DeviceError("the emulated device is closed; open another")

    def _soft_reset(self) -> None:
        self.machine.reset()
        self.clear_counters()
        self._owner = 0
        self._error = ErrorCode.NONE
        self._error_index = 0
        self._instructions = 0
        self._interrupt = False
        self._output: list[NDArray[np.int16]] = []
        self._packets: deque[NDArray[np.uint8]] = deque()

    # What a device with a clock adds to.

    def wide_counts(self) -> dict[str, int]:
        """Return the counters of `registers.WIDE_COUNTERS` that are not 0 for want of a clock."""
        return {"broadcasts": self.machine.broadcasts, "saturated": self.machine.saturated}

    def pe_counts(self) -> dict[str, NDArray[np.int64]]:
        """Return the counters of `registers.PE_COUNTERS`, each int64, shape (N,)."""
        work, padding = self.machine.work()
        nothing = np.zeros(self.config.num_pes, np.int64)
        return {"work": work, "padding": padding, "starved": nothing, "blocked": nothing}

    def clear_counters(self) -> None:
        """Set all counters to 0."""
        self.machine.clear_counts()

    def repeatable(self) -> bool:
        """Return whether what was just run may run many times at once: it used nothing that was left from before.

        What ends a packet to the host is not repeated: each repetition is a packet of its own.
        """
        return not self._output_ended and not self.machine.stale and not self.machine.dirty.any()

    def step(self, decoded: Decoded, payload: NDArray[np.uint64], state: State) -> None:
        """Carry out an instruction, once for each row of the payload, shape (B, words)."""
        if decoded.instruction is isa.READ:
            self._read(state, **decoded.values)
        else:
            self.machine.execute(decoded.instruction, decoded.values, payload, state)
        self._instructions += len(payload)

    # Fetching and decoding.

    def _execute(self, words: NDArray[np.uint64]) -> None:
        position: int | None = 0
        while position is not None and position < len(words):
            self.machine.begin_unit()
            self._output_ended = False
            repeats, ends = self._known_repeats(words[position:])
            if self._unit is not None and repeats:
                end = position + repeats * len(self._unit.words)
                self._run_repeats(self._unit, words[position:end].reshape(repeats, -1))
                if ends:
                    self._end_packet()
                position = end
            else:
                position = self._run_until_repeated(words, position)

    def _known_repeats(self, words: NDArray[np.uint64]) -> tuple[int, bool]:
        """Return how often the unit that has been run last as repetitions comes at once; see `Unit.count`."""
        if self._unit is None or self.machine.stale or self._unit_loads != self.machine.tiles.loads:
            return 0, False
        return self._unit.count(words)

    def _run_until_repeated(self, words: NDArray[np.uint64], start: int) -> int | None:
        """Run instructions one by one; return where what they are begins again, or None at the end and on errors."""
        position = start
        instructions: list[Decoded] = []
        while position < len(words):
            decoded = self._decode(words, position)
            if decoded is None:
                return None
            self.step(decoded, words[None, decoded.payload], self.machine.state)
            instructions.append(decoded)
            position = decoded.payload.stop
            self._output_ended |= decoded.values.get("last") == 1
            if decoded.instruction is isa.READ and position < len(words) and self.repeatable():
                unit = Unit.copied(words[:position], instructions, start)
                if unit.count(words[position:])[0]:
                    self._unit, self._unit_loads = unit, self.machine.tiles.loads
                    return position
        return None

    def _decode(self, words: NDArray[np.uint64], position: int) -> Decoded | None:
        instruction, values, length, error = self._header(int(words[position]))
        first = position + self.config.flit_words
        if error is ErrorCode.NONE and instruction is not None and first + length > len(words):
            error = ErrorCode.TRUNCATED
            self.machine.load_part(instruction, values, words[first:], length)
        if error is not ErrorCode.NONE or instruction is None:
            self._fail(error)
            return None
        return Decoded(instruction, values, slice(first, first + length))

    def _decode_header(self, header: int) -> tuple[isa.Instruction | None, dict[str, int], int, ErrorCode]:
        instruction = isa.BY_OPCODE.get(header & isa.OPCODE_MASK)
        if instruction is None:
            return None, {}, 0, ErrorCode.BAD_OPCODE
        values = instruction.decode(header)
        return (
            instruction,
            values,
            instruction.payload_words(self.config, values),
            instruction.check(self.config, header),
        )

    def _fail(self, error: ErrorCode) -> None:
        self._error = error
        self._error_index = self._instructions
        self._interrupt = self._interrupt or bool(self._interrupt_enable & 1)

    def _run_repeats(self, unit: Unit, blocks: NDArray[np.uint64]) -> None:
        """Run all rows of `blocks`, each of which repeats `unit` with other activations."""
        machine = self.machine
        state_bytes = machine.state.activations.nbytes + machine.state.accumulators.nbytes
        step = max(1, _BATCH_BYTES // state_bytes)
        for first in range(0, len(blocks), step):
            part = blocks[first : first + step]
            state = self._take_state(len(part))
            outputs = len(self._output)
            for decoded in unit.instructions:
                self.step(decoded, part[:, decoded.payload], state)
            # One array a READ, a row a repetition: what goes out is repetition by repetition.
            self._output[outputs:] = [np.concatenate(self._output[outputs:], axis=1).reshape(1, -1)]
            machine.state.activations[0, machine.written] = state.activations[-1, machine.written]
            if len(part) * state_bytes <= _KEPT_BYTES:
                self._spare_state = state

    def _take_state(self, repetitions: int) -> State:
        """Return a state whose accumulators are 0; what is among its activations, no repetition reads.

        That of the repetitions before serves again: fresh memory costs as much as a small network's products.
        """
        state, self._spare_state = self._spare_state, None
        if state is None or len(state.activations) != repetitions:
            state = State.zeros(self.config, repetitions)
        return state

    def _read(self, state: State, last: int, words: int, address: int, count: int) -> None:
        self._output.append(self.machine.read(state, address, count, words))
        if last:
            self._end_packet()

    def _end_packet(self) -> None:
        self._packets.append(np.concatenate(self._output, axis=1).view(np.uint8).ravel())
        self._output = []
        self._interrupt = self._interrupt or bool(self._interrupt_enable & 2)
