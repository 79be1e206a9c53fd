"""The machine that the instructions change: memories, accumulators, and what the PEs have done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.contract import isa
from eie.contract.bits import unpack_fields
from eie.contract.config import (
    ACTIVATIONS_PER_WORD,
    CODEBOOK_SIZE,
    LENGTH_BITS,
    LENGTH_MASK,
    LENGTHS_PER_WORD,
    PRE_SHIFTS,
    WORD_BYTES,
    ArrayConfig,
)
from eie.contract.fixed_point import finish, finish_scaled
from eie.contract.functions import elementwise, lost_results
from eie.contract.saturation import lost_outputs, lost_scaled_outputs
from eie.devices.emulation.state import State, accumulate, wrapped
from eie.devices.emulation.tile_cache import TileCache
from eie.devices.emulation.tile_products import count_active


class Machine:
    """The array's memories, and what each instruction makes of them.

    Payloads, activations and accumulators have a leading axis of repetitions: one program, other activations.

    Parameters
    ----------
    config : ArrayConfig

    Attributes
    ----------
    pointers : ndarray, shape (banks, pointers, 2 * pe_pairs), uint32
        Pointer words by PE.
    entries : ndarray, shape (banks, N, entry_words, beat_bytes), uint8
        Sparse-matrix words.
    codebooks : ndarray, shape (codebooks, 16), int16
    biases : ndarray, shape (rows, 2 * pe_pairs), int32
    scales : ndarray, shape (rows, 4 * scale_words), int16
    output_format : tuple of int
        Of the last FORMAT: bits that a sum loses before it is scaled, smallest and largest output.
    state : State
        Of the program itself: one repetition.
    written : ndarray, shape (groups,), bool
        Activation groups written since `begin_unit`.
    stale : bool
        Whether something was used since `begin_unit` that had been left from before.
    dirty : ndarray, shape (rows,), bool
        Local rows whose accumulators may not be 0.
    tiles : TileCache
        What pointers and entries make.
    broadcasts, saturated : int
        Activations broadcast, and outputs lost to saturation, since `clear_counts`.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        self.pointers = np.zeros((config.banks, config.pointers, 2 * config.pe_pairs), np.uint32)
        self.entries = np.zeros((config.banks, config.num_pes, config.entry_words, config.beat_bytes), np.uint8)
        self.codebooks = np.zeros((config.codebooks, CODEBOOK_SIZE), np.int16)
        self.biases = np.zeros((config.rows, 2 * config.pe_pairs), np.int32)
        self.scales = np.zeros((config.rows, ACTIVATIONS_PER_WORD * config.scale_words), np.int16)
        self.state = State.zeros(config, 1)
        self.tiles = TileCache(config, self.pointers, self.entries)
        self.broadcasts = self.saturated = 0
        self.dirty = np.zeros(config.rows, bool)
        self.output_format = (0, 0, 0)
        self.begin_unit()

    def begin_unit(self) -> None:
        """Begin to note what is written, and whether anything is used that was not."""
        self.written = np.zeros(self.config.activation_groups, bool)
        self.stale = bool(self.dirty.any())

    def reset(self) -> None:
        """Clear the accumulators and the output format, as a soft reset does."""
        self.state.accumulators[:] = 0
        self.dirty[:] = False
        self.output_format = (0, 0, 0)

    def work(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the work and padding entries of each PE since `clear_counts`, shape (N,)."""
        return self.tiles.work()

    def clear_counts(self) -> None:
        """Start counting again from 0."""
        self.tiles.clear_work()
        self.broadcasts = self.saturated = 0

    def execute(
        self, instruction: isa.Instruction, values: dict[str, int], payload: NDArray[np.uint64], state: State
    ) -> None:
        """Carry out an instruction; a READ changes nothing here (`read`)."""
        _EXECUTE[instruction.name](self, payload, state, **values)

    def load_part(
        self, instruction: isa.Instruction, values: dict[str, int], words: NDArray[np.uint64], length: int
    ) -> None:
        """Carry out a load of `length` words of which only the first came: hardware writes beat after beat.

        Of activations, the group in which it was cut stays as it was.
        """
        config = self.config
        if instruction is isa.LENGTHS:  # a pointer that is 0 has come, too
            self._lengths(words[None], self.state, **values)
            return
        together = config.flit_words
        memories: dict[str, tuple[NDArray[Any], int]] = {
            isa.CODEBOOK.name: (self.codebooks, config.flit_bytes),
            isa.POINTERS.name: (self.pointers, together * config.beat_bytes),
            isa.ENTRIES.name: (self.entries, together * config.beat_bytes),
            isa.BIAS.name: (self.biases, config.flit_bytes),
            isa.SCALE.name: (self.scales, config.flit_bytes),
            isa.ACTIVATIONS.name: (self.state.activations, config.words_per_group * WORD_BYTES),
        }
        memory, beat = memories[instruction.name]
        before, came = memory.copy(), words.nbytes // beat * beat
        payload, ones = np.zeros((2, 1, length), np.uint64)
        payload[0, : len(words)] = words
        ones.view(np.uint8)[0, :came] = 0xFF
        # Where ones arrive, so does the payload.
        memory[:] = 0
        self.execute(instruction, values, ones, self.state)
        arrived = memory != 0
        self.execute(instruction, values, payload, self.state)
        memory[:] = np.where(arrived, memory, before)

    def read(self, state: State, address: int, count: int, words: int = 0) -> NDArray[np.int16]:
        """Return a copy of activation groups, or of the first words of each, shape (B, activations)."""
        lanes = words * ACTIVATIONS_PER_WORD or self.config.lanes
        self.stale |= not self.written[address : address + count].all()
        return state.activations[:, address : address + count, :lanes].reshape(len(state.activations), -1).copy()

    # The instructions.

    def _codebook(self, payload: NDArray[np.uint64], state: State, slot: int) -> None:
        self.codebooks[slot] = payload[0].view("<i2")
        self.codebooks[slot, 0] = 0

    def _pointers(self, payload: NDArray[np.uint64], state: State, bank: int, address: int, count: int) -> None:
        config = self.config
        words = unpack_fields(self._beats(payload[0], count * config.pe_pairs), config.pointer_bits, 4)
        by_pair = words.reshape(count, config.pe_pairs, 2, 2).transpose(0, 3, 1, 2)
        self.pointers[bank, 2 * address : 2 * (address + count)] = by_pair.reshape(2 * count, -1)
        self.tiles.forget(bank)

    def _lengths(self, payload: NDArray[np.uint64], state: State, bank: int, address: int, count: int) -> None:
        pes, words = self.config.num_pes, self.config.length_words
        data = np.zeros(count * words, np.uint64)
        data[: payload.shape[1]] = payload[0]
        # A byte for each PE: the lengths of its even and of its odd column.
        both = data.view(np.uint8).reshape(count, -1)[:, :pes]
        lengths = np.stack([both & LENGTH_MASK, both >> LENGTH_BITS], axis=1).reshape(2 * count, pes).astype(np.uint32)
        starts = (np.cumsum(lengths, axis=0, dtype=np.uint32) - lengths) % np.uint32(self.config.entries)
        came = words * np.arange(count)[:, None] + np.arange(pes) // (LENGTHS_PER_WORD // 2) < payload.shape[1]
        pointers = self.pointers[bank, 2 * address : 2 * (address + count), :pes].reshape(count, 2, pes)
        np.copyto(pointers, starts.reshape(count, 2, pes), where=came[:, None])
        self.tiles.forget(bank)

    def _entries(self, payload: NDArray[np.uint64], state: State, bank: int, pe: int, address: int, count: int) -> None:
        together = self.config.flit_words
        beats = self._beats(payload[0], count * together).reshape(count, together, -1)
        self.entries[bank, pe : pe + together, address : address + count] = beats.swapaxes(0, 1)
        self.tiles.forget(bank)

    def _beats(self, words: NDArray[np.uint64], beats: int) -> NDArray[np.uint8]:
        data = words.view(np.uint8)[: beats * self.config.beat_bytes]
        return data.reshape(beats, self.config.beat_bytes)

    def _bias(self, payload: NDArray[np.uint64], state: State, address: int, count: int) -> None:
        words = payload[0].view("<i4").reshape(count, -1, self.config.words_per_group, 2)
        self.biases[address : address + count] = words.swapaxes(1, 2).reshape(count, -1)

    def _scale(self, payload: NDArray[np.uint64], state: State, address: int, count: int) -> None:
        # A word has the scales of PEs of as many clusters.
        words = payload[0].view("<i2").reshape(count, -1, self.config.scale_memories, ACTIVATIONS_PER_WORD)
        self.scales[address : address + count] = words.transpose(0, 2, 3, 1).reshape(count, -1)

    def _format(self, payload: NDArray[np.uint64], state: State, pre_shift: int, low: int, high: int) -> None:
        signed = np.array([low, high], np.uint16).view(np.int16)
        self.output_format = (PRE_SHIFTS[pre_shift], int(signed[0]), int(signed[1]))

    def _activations(self, payload: NDArray[np.uint64], state: State, address: int, count: int) -> None:
        values = np.ascontiguousarray(payload).view("<i2").reshape(len(payload), count, self.config.lanes)
        state.activations[:, address : address + count] = values
        self.written[address : address + count] = True

    def _compute(
        self,
        payload: NDArray[np.uint64],
        state: State,
        bank: int,
        part: int,
        slot: int,
        pointers: int,
        address: int,
        count: int,
    ) -> None:
        self.stale |= not self.written[address : address + count].all()
        activations = state.activations[:, address : address + count].reshape(len(payload), -1)
        accumulators, dirty = self._part(state, part)
        active = count_active(activations)
        self.broadcasts += int(active.sum())
        for columns, tile in self.tiles.parts(bank, pointers, count, active > 0):
            accumulate(tile, activations[:, columns], self.codebooks[slot], accumulators)
            # What a PE did follows from how often each of its columns was broadcast: added up when somebody asks.
            tile.broadcasts += active[columns]
        # Whatever is active: what a unit leaves in the accumulators with other activations counts, too.
        dirty[: self.tiles.rows(bank, pointers, count)] = True

    def _store(
        self,
        payload: NDArray[np.uint64],
        state: State,
        relu: int,
        scaled: int,
        shift: int,
        bias: int,
        part: int,
        address: int,
        count: int,
    ) -> None:
        config = self.config
        accumulators, dirty = self._part(state, part)
        stored = accumulators[:, : count * config.num_pes]
        sums = stored
        if count > len(dirty):  # rows wrap in the part, to accumulators that are 0 by then
            sums = np.zeros((len(stored), count * config.num_pes), np.int64)
            sums[:, : stored.shape[1]] = stored
        biases = self.biases[bias : bias + count, : config.num_pes].ravel()
        groups = count // config.rows_per_group
        # Wrapping to the accumulator's width can wait until here: int64 wraps to a multiple of it.
        totals = wrapped(sums)
        totals += biases
        if scaled:
            pre_shift, low, high = self.output_format
            scales = self.scales[bias : bias + count, : config.num_pes].ravel()
            outputs = finish_scaled(totals, scales, pre_shift, shift, bool(relu), low, high)
            self.saturated += lost_scaled_outputs(totals, scales, pre_shift, shift, bool(relu), low, high, outputs)
        else:
            outputs = finish(totals, shift, bool(relu))
            self.saturated += lost_outputs(totals, shift, bool(relu), outputs)
        state.activations[:, address : address + groups] = outputs.reshape(len(sums), groups, config.lanes)
        stored[:] = 0
        self.written[address : address + groups] = True
        dirty[:count] = False

    def _part(self, state: State, part: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return a part of the accumulators, and which of its rows may not be 0."""
        first, size = self.config.accumulator_part(part)
        pes = self.config.num_pes
        return state.accumulators[:, first * pes : (first + size) * pes], self.dirty[first : first + size]

    def _elementwise(
        self,
        payload: NDArray[np.uint64],
        state: State,
        operation: int,
        shift: int,
        source: int,
        address: int,
        count: int,
    ) -> None:
        operand, target = slice(source, source + count), slice(address, address + count)
        self.stale |= not (self.written[operand].all() and self.written[target].all())
        a, b = state.activations[:, target], state.activations[:, operand]
        results = elementwise(operation, a, b, shift)
        self.saturated += lost_results(operation, a, b, shift, results)
        state.activations[:, target] = results
        self.written[target] = True


_EXECUTE: dict[str, Callable[..., None]] = {
    isa.CODEBOOK.name: Machine._codebook,
    isa.POINTERS.name: Machine._pointers,
    isa.LENGTHS.name: Machine._lengths,
    isa.ENTRIES.name: Machine._entries,
    isa.BIAS.name: Machine._bias,
    isa.SCALE.name: Machine._scale,
    isa.ACTIVATIONS.name: Machine._activations,
    isa.COMPUTE.name: Machine._compute,
    isa.STORE.name: Machine._store,
    isa.FORMAT.name: Machine._format,
    isa.ELEMENTWISE.name: Machine._elementwise,
}
