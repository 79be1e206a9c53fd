"""The emulation with a clock."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eie.contract import isa
from eie.contract.config import ArrayConfig
from eie.cycle_model.compute import Work
from eie.cycle_model.program import ProgramTiming
from eie.devices.emulation.device import EmulatedDevice
from eie.devices.emulation.repetitions import Decoded
from eie.devices.emulation.state import State


class TimedDevice(EmulatedDevice):
    """The emulation with a clock: its counters of cycles are those of the hardware.

    It runs one inference after another and is slower than `EmulatedDevice`.

    Parameters
    ----------
    config : ArrayConfig, optional
    bytes_per_cycle : float, optional
        See `ProgramTiming`.

    Attributes
    ----------
    programs : list of ProgramTiming
        Of each transfer since the counters were cleared.
    """

    def __init__(self, config: ArrayConfig | None = None, bytes_per_cycle: float | None = None) -> None:
        self.bytes_per_cycle = bytes_per_cycle
        self.programs: list[ProgramTiming] = []
        super().__init__(config)

    def send(self, buffer: NDArray[np.uint8], reply_bytes: int = 0, changed: Sequence[slice] | None = None) -> None:
        """Execute and time one packet of instructions."""
        self.programs.append(ProgramTiming(self.config, self.bytes_per_cycle))
        super().send(buffer, reply_bytes)

    def load(self, weights: NDArray[np.uint64]) -> int:
        """Execute a program that makes a model resident, if it has words; return its cycles."""
        if not len(weights):
            return 0
        self.send(weights.view(np.uint8))
        return self.programs.pop().finish()

    def wide_counts(self) -> dict[str, int]:
        """Return the counters of `registers.WIDE_COUNTERS`."""
        busy = sum(program.finish() for program in self.programs)
        stalled = sum(step.waited for program in self.programs for step in program.steps)
        start = sum(program.execution.starting for program in self.programs)
        drain = sum(program.execution.draining for program in self.programs)
        cycles = {"cycles": self._cycles(), "busy": busy, "stalled": stalled, "start": start, "drain": drain}
        return {**super().wide_counts(), **cycles}

    def pe_counts(self) -> dict[str, NDArray[np.int64]]:
        """Return the counters of `registers.PE_COUNTERS`, each int64, shape (N,)."""
        counts = super().pe_counts()
        starved = self._cycles() - counts["work"] - counts["padding"]
        blocked = sum((p.execution.blocked for p in self.programs), np.zeros(self.config.num_pes, np.int64))
        return {**counts, "starved": starved, "blocked": blocked}

    def _cycles(self) -> int:
        for program in self.programs:
            program.finish()
        return sum(program.execution.cycles for program in self.programs)

    def clear_counters(self) -> None:
        """Set all counters to 0, and forget the programs."""
        super().clear_counters()
        self.programs.clear()

    def repeatable(self) -> bool:
        """Return False: every inference takes its own time."""
        return False

    def step(self, decoded: Decoded, payload: NDArray[np.uint64], state: State) -> None:
        """Carry out and time an instruction."""
        super().step(decoded, payload, state)
        program, instruction, values = self.programs[-1], decoded.instruction, decoded.values
        if instruction is isa.COMPUTE:
            self._time_compute(decoded, state)
        elif instruction.payload_words(self.config, values):
            program.load(instruction, values, payload.shape[1])
        else:
            program.execute(instruction, values)

    def _time_compute(self, decoded: Decoded, state: State) -> None:
        values = decoded.values
        entries = self.machine.tiles.lengths(values["bank"], values["pointers"], values["count"])
        groups = slice(values["address"], values["address"] + values["count"])
        work = Work(state.activations[0, groups].flatten(), entries, values["address"])
        self.programs[-1].execute(decoded.instruction, values, work)
