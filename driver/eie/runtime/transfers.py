"""Batches through a device: cut into transfers, double-buffered, every stage timed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from eie.contract import registers
from eie.contract.config import WORD_BYTES
from eie.devices.interface import Device, error_text
from eie.errors import DeviceError
from eie.program.packets import count_instructions
from eie.program.segment import Segment, inferences_per_transfer

# Buffers grow in steps of this.
_BUFFER_BYTES = 1 << 16
# At the count of instructions before a difference is believed.
_LOOKS = 10

STAGES = ("quantise", "fill", "send", "wait", "unpack")
"""What the host does for a transfer, in order: floats to fixed point, activations into the buffer, flush and start of
the DMA, wait for the array, outputs from the buffer and to floats."""


class StageTimes:
    """Seconds spent per stage of `STAGES`, and inferences run, since the last `clear`.

    Examples
    --------
    >>> acc.times.clear()
    >>> y = acc.run(x)
    >>> acc.times.seconds["wait"] / acc.times.inferences

    Attributes
    ----------
    clock : callable
        Gives seconds; `time.thread_time` counts only what the processor spent on this thread.
    """

    def __init__(self) -> None:
        self.clock: Callable[[], float] = perf_counter
        self.clear()

    def clear(self) -> None:
        """Start again from 0."""
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self.inferences = 0

    def stage(self, name: str) -> _Stage:
        """Return a context whose duration is added to a stage."""
        return _Stage(self.seconds, name, self.clock)

    @property
    def host_seconds(self) -> float:
        """Everything but waiting."""
        return sum(seconds for name, seconds in self.seconds.items() if name != "wait")

    def __str__(self) -> str:
        per = 1e6 / max(self.inferences, 1)
        stages = ", ".join(f"{name} {seconds * per:.2f}" for name, seconds in self.seconds.items())
        return f"microseconds per inference, of {self.inferences}: {stages}"


class _Stage:
    def __init__(self, seconds: dict[str, float], name: str, clock: Callable[[], float]) -> None:
        self.seconds, self.name, self.clock = seconds, name, clock

    def __enter__(self) -> None:
        self.start = self.clock()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.seconds[self.name] += self.clock() - self.start


@dataclass
class _Slot:
    """A buffer that is reused, and the program that it already holds."""

    buffer: NDArray[np.uint8] | None = None
    segment: Segment | None = None
    batch: int = 0


class Transfers:
    """Runs segments on a device through two buffers: while the array works on one, the host fills the other.

    A buffer keeps its program: where the next batch is of the same size and model, only activations are written.

    Parameters
    ----------
    device : Device
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.times = StageTimes()
        self._slots = [_Slot(), _Slot()]
        self._sent = 0
        self._counts: dict[tuple[int, int], tuple[Segment, int]] = {}

    def begin(self) -> None:
        """Forget what was sent, and what the buffers hold: the device begins anew."""
        self._sent = 0
        for slot in self._slots:
            slot.segment = None
        self._counts.clear()

    def run(self, segment: Segment, source: Callable[[slice], NDArray[np.int16]], batch: int) -> NDArray[np.int16]:
        """Run a batch.

        Parameters
        ----------
        segment : Segment
        source : callable
            Gives the activations of a slice of the batch, int16, shape (size, columns).
        batch : int

        Returns
        -------
        ndarray, shape (batch, segment.rows), int16
        """
        outputs = np.empty((batch, segment.rows), np.int16)
        step = inferences_per_transfer(segment, batch)
        under_way: slice | None = None
        for first in range(0, batch, step):
            part = slice(first, min(first + step, batch))
            size = part.stop - part.start
            with self.times.stage("quantise"):
                activations = source(part)
            with self.times.stage("fill"):
                buffer, changed = self._fill(segment, activations)
            if under_way:
                self._collect(segment, outputs, under_way)
            with self.times.stage("send"):
                self.device.send(buffer, size * segment.output_words * WORD_BYTES, changed)
            # Only now: what was filled and not sent has not left the processor's cache.
            self._slots[1].segment, self._slots[1].batch = segment, size
            under_way = part
        if under_way:
            self._collect(segment, outputs, under_way)
        return outputs

    def send_program(self, words: NDArray[np.uint64]) -> None:
        """Send a program that gives nothing back, and wait for its end."""
        buffer = self._take(words.nbytes)
        buffer[:] = words.view(np.uint8)
        self.device.send(buffer)
        self.device.receive(0)
        self._raise_on_error()
        self._account(count_instructions(words, self.device.config))

    def release(self) -> None:
        """Free the buffers."""
        for slot in self._slots:
            self._release(slot)

    def _fill(self, segment: Segment, activations: NDArray[np.int16]) -> tuple[NDArray[np.uint8], list[slice] | None]:
        """Return the buffer whose turn it is, with the program of a batch, and its bytes that are new."""
        batch = len(activations)
        slot = self._slots[0]
        known = slot.segment is segment and slot.batch == batch
        buffer = self._take(segment.words(batch) * WORD_BYTES)
        words = np.asarray(buffer).view(np.uint64)  # slices of pynq's own buffers are slow
        if not known:
            segment.write_program(batch, words)
        segment.write_activations(activations, words)
        return buffer, segment.changed(batch) if known else None

    def _take(self, nbytes: int) -> NDArray[np.uint8]:
        """Return the buffer whose turn it is; what it held is no longer known."""
        slot = self._slots[0]
        slot.segment = None
        if slot.buffer is None or len(slot.buffer) < nbytes:
            self._release(slot)
            slot.buffer = self.device.allocate(-(-nbytes // _BUFFER_BYTES) * _BUFFER_BYTES)
        self._slots.reverse()
        return slot.buffer[:nbytes]

    def _release(self, slot: _Slot) -> None:
        buffer, slot.buffer, slot.segment = slot.buffer, None, None
        if buffer is not None:
            self.device.release(buffer)

    def _collect(self, segment: Segment, outputs: NDArray[np.int16], part: slice) -> None:
        size = part.stop - part.start
        with self.times.stage("wait"):
            received = self._receive(size * segment.output_words)
            self._account(self._instructions(segment, size))
        with self.times.stage("unpack"):
            outputs[part] = segment.unpack(received, size)
        self.times.inferences += size

    def _receive(self, words: int) -> NDArray[np.uint8]:
        received = self.device.receive(words * WORD_BYTES)
        if len(received) != words * WORD_BYTES:
            what = f"received {len(received) // WORD_BYTES} of {words} words"
            self._raise_on_error(what)
            raise DeviceError(f"{what}, and the device reports no error")
        return received

    def _instructions(self, segment: Segment, batch: int) -> int:
        """Return how many instructions a batch of inferences has."""
        units, rest = divmod(batch, segment.inferences)
        whole = self._counted(segment, segment.inferences) if units else 0
        return units * whole + (self._counted(segment, rest) if rest else 0)

    def _counted(self, segment: Segment, inferences: int) -> int:
        """Count the instructions of a segment's unit of so many inferences, once."""
        key = id(segment), inferences
        if key not in self._counts:
            # The segment is kept, so that no other has its identity.
            self._counts[key] = segment, count_instructions(segment.units[inferences - 1].words, self.device.config)
        return self._counts[key][1]

    def _account(self, instructions: int) -> None:
        """Compare what the device has executed with what was sent: a lost tail, or another's program, is no answer."""
        self._sent += instructions
        expected = self._sent & 0xFFFFFFFF
        for _ in range(_LOOKS):  # what has left the DMA may still be on its way
            executed = self.device.read_register(registers.offset("instructions"))
            if executed == expected:
                break
        else:
            raise DeviceError(
                f"the array has executed {executed} instructions since its reset, {expected} were sent: a part of a "
                "transfer was lost, or somebody else uses the array; what is on it is sent again with the next run"
            )

    def _raise_on_error(self, context: str = "") -> None:
        text = error_text(self.device)
        if text:
            raise DeviceError(f"{context}; {text}" if context else text)
