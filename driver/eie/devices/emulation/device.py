"""The numpy emulation: executes the instruction stream bit-exactly, with the machine's memories and error codes.

The bytes are those that hardware gets. Instructions run one after another; where a transfer repeats one program
with other activations, as a batch does, all repetitions run at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from eie.contract import isa, registers
from eie.contract.bits import unpack_fields
from eie.contract.config import ACCUMULATOR_BITS, CODEBOOK_SIZE, WORD_BYTES, ArrayConfig
from eie.contract.fixed_point import finish
from eie.contract.isa import ErrorCode
from eie.devices.emulation.tile_matrix import TileMatrix, decode_tile
from eie.errors import DeviceError

# Activations and accumulators of a batch of repetitions take at most about this much.
_BATCH_BYTES = 128 << 20


@dataclass(frozen=True)
class _Decoded:
    """An instruction of a transfer: its fields, and where its payload lies."""

    instruction: isa.Instruction
    values: dict[str, int]
    payload: slice


@dataclass
class _State:
    """What differs between the repetitions of a batch."""

    activations: NDArray[np.int16]
    accumulators: NDArray[np.int64]

    @classmethod
    def zeros(cls, config: ArrayConfig, repetitions: int) -> _State:
        return cls(
            np.zeros((repetitions, config.activation_groups, config.lanes), np.int16),
            np.zeros((repetitions, config.rows * config.num_pes), np.int64),
        )


class EmulatedDevice:
    """An EIE array in numpy.

    Parameters
    ----------
    config : ArrayConfig, optional
        Default: the array of the boards, ``ArrayConfig()``.
    timing : bool
        Count cycles too, by the cycle model of `eie.cycle_model.compute`; off, the counters of cycles read 0.
    """

    def __init__(self, config: ArrayConfig | None = None, timing: bool = False) -> None:
        self.config = config = config or ArrayConfig()
        self._pointer_memory = np.zeros((config.banks, config.pointers, 2 * config.pe_pairs), np.uint32)
        self._entry_memory = np.zeros((config.banks, config.num_pes, config.entry_words, config.beat_bytes), np.uint8)
        self._codebooks = np.zeros((config.codebooks, CODEBOOK_SIZE), np.int16)
        self._biases = np.zeros((config.rows, 2 * config.pe_pairs), np.int32)
        self._state = _State.zeros(config, 1)
        self._tiles: list[dict[tuple[int, int], TileMatrix]] = [{} for _ in range(config.banks)]
        # The same few headers come with every inference.
        self._header = lru_cache(maxsize=1 << 16)(self._decode_header)
        self._constants = registers.constant_values(config)
        self._interrupt_enable = 0
        self._work = np.zeros(config.num_pes, np.int64)
        self._padding = np.zeros(config.num_pes, np.int64)
        self._blocked = np.zeros(config.num_pes, np.int64)
        self._broadcasts = 0
        self._cycles = 0
        self._timing = timing
        self._soft_reset()

    # The device interface.

    def allocate(self, nbytes: int) -> NDArray[np.uint8]:
        """Return a buffer of nbytes."""
        return np.empty(nbytes, np.uint8)

    def release(self, buffer: NDArray[np.uint8]) -> None:
        """Nothing to free."""

    def send(self, buffer: NDArray[np.uint8], reply_bytes: int = 0) -> None:
        """Execute one packet of instructions."""
        data = np.ascontiguousarray(buffer).view(np.uint8).ravel()
        if len(data) % WORD_BYTES:
            raise DeviceError(f"a transfer of {len(data)} bytes is not a multiple of {WORD_BYTES}")
        if self._error is ErrorCode.NONE:
            self._execute(data.view("<u8"))

    def receive(self, nbytes: int) -> NDArray[np.uint8]:
        """Return the next packet, at most nbytes; empty if there is none."""
        if not self._packets:
            return np.zeros(0, np.uint8)
        if len(self._packets[0]) > nbytes:
            raise DeviceError(f"the device returned {len(self._packets[0])} bytes, the receiver has room for {nbytes}")
        return self._packets.popleft()

    def read_register(self, offset: int) -> int:
        """Read a register of `eie.contract.registers`; an unknown offset reads 0."""
        if offset in self._constants:
            return self._constants[offset]
        if offset >= registers.COUNTERS_BASE:
            pe, rest = divmod(offset - registers.COUNTERS_BASE, registers.COUNTERS_STRIDE)
            counter = registers.PE_COUNTERS[rest // 4]
            self._collect_counts()
            if pe >= self.config.num_pes:
                return 0
            counts = {
                "work": self._work,
                "padding": self._padding,
                "starved": (self._cycles - self._work - self._padding) * self._timing,
                "blocked": self._blocked,
            }
            return int(counts[counter][pe]) & 0xFFFFFFFF
        values = {
            "status": registers.STATUS_IDLE
            | registers.STATUS_INTERRUPT * self._interrupt
            | self._error << registers.STATUS_ERROR_SHIFT,
            "error_index": self._error_index,
            "instructions": self._instructions & 0xFFFFFFFF,
            "interrupt_enable": self._interrupt_enable,
            "cycles_low": self._cycles & 0xFFFFFFFF,
            "cycles_high": self._cycles >> 32,
            "broadcasts_low": self._broadcasts & 0xFFFFFFFF,
            "broadcasts_high": self._broadcasts >> 32,
        }
        return next((int(v) for name, v in values.items() if registers.offset(name) == offset), 0)

    def write_register(self, offset: int, value: int) -> None:
        """Write a register of `eie.contract.registers`; writing a read-only one has no effect."""
        if offset == registers.offset("interrupt_enable"):
            self._interrupt_enable = value & 3
        elif offset == registers.offset("control"):
            if value & registers.CONTROL_SOFT_RESET:
                self._soft_reset()
            if value & registers.CONTROL_CLEAR_COUNTERS:
                self._clear_counters()
            if value & registers.CONTROL_CLEAR_INTERRUPT:
                self._interrupt = False

    def close(self) -> None:
        """Nothing to free."""

    def _soft_reset(self) -> None:
        self._state.accumulators[:] = 0
        self._dirty_rows = 0
        self._error = ErrorCode.NONE
        self._error_index = 0
        self._instructions = 0
        self._interrupt = False
        self._output: list[NDArray[np.int16]] = []
        self._packets: deque[NDArray[np.uint8]] = deque()

    def _clear_counters(self) -> None:
        self._collect_counts()
        self._work[:] = self._padding[:] = self._blocked[:] = 0
        self._broadcasts = self._cycles = 0

    def _collect_counts(self) -> None:
        for tile in (tile for kept in self._tiles for tile in kept.values()):
            work, padding = tile.take_counts()
            self._work += work
            self._padding += padding

    def _forget_tiles(self, bank: int) -> None:
        if self._tiles[bank]:
            self._collect_counts()
            self._tiles[bank].clear()

    # Fetching and decoding.

    def _execute(self, words: NDArray[np.uint64]) -> None:
        position = start = 0
        self._begin_unit()
        unit: list[_Decoded] = []
        while position < len(words):
            decoded = self._decode(words, position)
            if decoded is None:
                return
            self._step(decoded, words[None, decoded.payload], self._state)
            unit.append(decoded)
            position = decoded.payload.stop
            if decoded.instruction is isa.READ and self._repeatable():
                length = position - start
                repeats = _count_repeats(words[start:], length, unit, start)
                if repeats:
                    self._run_repeats(
                        words[position : position + repeats * length].reshape(repeats, length), unit, start
                    )
                    position += repeats * length
                    start, unit = position, []
                    self._begin_unit()

    def _decode(self, words: NDArray[np.uint64], position: int) -> _Decoded | None:
        instruction, values, length, error = self._header(int(words[position]))
        if error is ErrorCode.NONE and position + 1 + length > len(words):
            error = ErrorCode.TRUNCATED
        if error is not ErrorCode.NONE or instruction is None:
            self._fail(error)
            return None
        return _Decoded(instruction, values, slice(position + 1, position + 1 + length))

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

    # Repetitions: a run of instructions may run many times at once if none depends on what the one before left.

    def _begin_unit(self) -> None:
        self._written = np.zeros(self.config.activation_groups, bool)
        self._stale = self._dirty_rows > 0

    def _repeatable(self) -> bool:
        return not self._stale and self._dirty_rows == 0

    def _run_repeats(self, blocks: NDArray[np.uint64], unit: list[_Decoded], start: int) -> None:
        """Run all rows of `blocks`, each of which repeats `unit` with other activations."""
        state_bytes = self._state.activations.nbytes + self._state.accumulators.nbytes
        step = max(1, _BATCH_BYTES // state_bytes)
        for first in range(0, len(blocks), step):
            part = blocks[first : first + step]
            state = _State.zeros(self.config, len(part))
            outputs = len(self._output)
            for decoded in unit:
                payload = slice(decoded.payload.start - start, decoded.payload.stop - start)
                self._step(decoded, part[:, payload], state)
            # One array a READ, a row a repetition: what goes out is repetition by repetition.
            self._output[outputs:] = [np.concatenate(self._output[outputs:], axis=1).reshape(1, -1)]
            self._state.activations[0, self._written] = state.activations[-1, self._written]

    # Executing. Payloads, activations and accumulators have a leading axis of repetitions.

    def _step(self, decoded: _Decoded, payload: NDArray[np.uint64], state: _State) -> None:
        handler = getattr(self, f"_{decoded.instruction.name.lower()}")
        handler(payload, state, **decoded.values)
        self._instructions += len(payload)

    def _codebook(self, payload: NDArray[np.uint64], state: _State, slot: int) -> None:
        self._codebooks[slot] = payload[0].view("<i2")
        self._codebooks[slot, 0] = 0

    def _pointers(self, payload: NDArray[np.uint64], state: _State, bank: int, address: int, count: int) -> None:
        config = self.config
        words = unpack_fields(self._beats(payload[0], count * config.pe_pairs), config.pointer_bits, 4)
        by_pair = words.reshape(count, config.pe_pairs, 2, 2).transpose(0, 3, 1, 2)
        self._pointer_memory[bank, 2 * address : 2 * (address + count)] = by_pair.reshape(2 * count, -1)
        self._forget_tiles(bank)

    def _entries(
        self, payload: NDArray[np.uint64], state: _State, bank: int, pe: int, address: int, count: int
    ) -> None:
        self._entry_memory[bank, pe, address : address + count] = self._beats(payload[0], count)
        self._forget_tiles(bank)

    def _beats(self, words: NDArray[np.uint64], beats: int) -> NDArray[np.uint8]:
        data = words.view(np.uint8)[: beats * self.config.beat_bytes]
        return data.reshape(beats, self.config.beat_bytes)

    def _bias(self, payload: NDArray[np.uint64], state: _State, address: int, count: int) -> None:
        self._biases[address : address + count] = payload[0].view("<i4").reshape(count, -1)

    def _activations(self, payload: NDArray[np.uint64], state: _State, address: int, count: int) -> None:
        values = np.ascontiguousarray(payload).view("<i2").reshape(len(payload), count, self.config.lanes)
        state.activations[:, address : address + count] = values
        self._written[address : address + count] = True

    def _compute(
        self,
        payload: NDArray[np.uint64],
        state: _State,
        bank: int,
        slot: int,
        pointers: int,
        address: int,
        count: int,
    ) -> None:
        self._stale |= not self._written[address : address + count].all()
        tile = self._tile(bank, pointers, count)
        activations = state.activations[:, address : address + count].reshape(len(payload), -1)
        tile.accumulate(activations, self._codebooks[slot], state.accumulators)
        self._dirty_rows = max(self._dirty_rows, tile.size // self.config.num_pes)

        # What a PE did follows from how often each of its columns was broadcast: added up when somebody asks.
        active = (activations != 0).view(np.uint8).sum(axis=0, dtype=np.uint32)
        self._broadcasts += int(active.sum())
        tile.broadcasts += active
        if self._timing:
            # Imported where it is used: it is slow to import where numba is installed.
            from eie.cycle_model.compute import compute_timing

            for vector in activations:
                timing = compute_timing(vector, tile.work + tile.padding, address, self.config)
                self._cycles += timing.cycles
                self._blocked += timing.blocked

    def _tile(self, bank: int, pointers: int, count: int) -> TileMatrix:
        """Return the decoded tile; it is kept until its bank is written."""
        kept = self._tiles[bank]
        if (pointers, count) not in kept:
            columns = count * self.config.lanes
            words = self._pointer_memory[bank, 2 * pointers : 2 * pointers + columns + 1, : self.config.num_pes]
            kept[pointers, count] = decode_tile(words, self._entry_memory[bank], self.config)
        return kept[pointers, count]

    def _store(
        self, payload: NDArray[np.uint64], state: _State, relu: int, shift: int, bias: int, address: int, count: int
    ) -> None:
        config = self.config
        sums = state.accumulators[:, : count * config.num_pes]
        biases = self._biases[bias : bias + count, : config.num_pes].ravel()
        groups = count // config.rows_per_group
        # Wrapping to the accumulator's width can wait until here: int64 wraps to a multiple of it.
        outputs = finish(_wrap(sums) + biases, shift, bool(relu))
        state.activations[:, address : address + groups] = outputs.reshape(len(sums), groups, config.lanes)
        sums[:] = 0
        self._written[address : address + groups] = True
        if count >= self._dirty_rows:
            self._dirty_rows = 0

    def _read(self, payload: NDArray[np.uint64], state: _State, last: int, address: int, count: int) -> None:
        self._stale |= not self._written[address : address + count].all()
        self._output.append(state.activations[:, address : address + count].reshape(len(payload), -1).copy())
        if last:
            self._packets.append(np.concatenate(self._output, axis=1).view(np.uint8).ravel())
            self._output = []
            self._interrupt = self._interrupt or bool(self._interrupt_enable & 2)


def _count_repeats(words: NDArray[np.uint64], length: int, unit: list[_Decoded], start: int) -> int:
    """Return how often the first `length` words come again right behind, but for the payload of ACTIVATIONS."""
    if len(words) < 2 * length or words[length] != words[0]:
        return 0
    blocks = words[: len(words) // length * length].reshape(-1, length)
    same = np.ones(len(blocks), bool)
    for fixed in _fixed_spans(length, unit, start):
        same &= (blocks[:, fixed] == blocks[0, fixed]).all(axis=1)
    return len(blocks) - 1 if same.all() else int(same.argmin()) - 1


def _fixed_spans(length: int, unit: list[_Decoded], start: int) -> Iterator[slice]:
    """Yield where the words lie that are the same in every repetition: all but the payload of ACTIVATIONS."""
    begin = 0
    for decoded in unit:
        if decoded.instruction is isa.ACTIVATIONS:
            yield slice(begin, decoded.payload.start - start)
            begin = decoded.payload.stop - start
    yield slice(begin, length)


def _wrap(sums: NDArray[np.int64]) -> NDArray[np.int64]:
    """Wrap to the accumulator's width, two's complement."""
    spare = 64 - ACCUMULATOR_BITS
    return (sums << spare) >> spare
