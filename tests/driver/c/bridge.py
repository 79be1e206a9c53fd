"""The C runtime as a process at a pipe, whose processor's bus and memory are those of a virtual board."""

from __future__ import annotations

import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from eie.devices.virtual import VirtualBoard
from eie.program.packed_file import packed_bytes

HERE = Path(__file__).parent
SOURCES = Path(__file__).parents[3] / "driver/c"
BRIDGE = (HERE / "bridge.c", SOURCES / "examples/mlperf_tiny.c")

STRICT = (
    *("-std=c99", "-pedantic-errors", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wsign-conversion", "-Wshadow"),
    *("-Wundef", "-Wcast-qual", "-Wcast-align=strict", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Wvla"),
    *("-Wold-style-definition", "-Wredundant-decls", "-Wpointer-arith", "-Wformat=2", "-Wswitch-enum"),
    *("-Wswitch-default", "-Wfloat-equal", "-Wdouble-promotion", "-Wnull-dereference", "-Wduplicated-cond"),
    *("-Wduplicated-branches", "-Wlogical-op", "-Wwrite-strings", "-Wbad-function-cast", "-Wunused-macros"),
)
"""Every warning of gcc that finds mistakes, as errors; `-fanalyzer` besides where nothing is run."""

SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g")


@dataclass(frozen=True)
class Processor:
    """What compiles for a processor and runs what was compiled."""

    compiler: str
    simulator: tuple[str, ...] = ()
    flags: tuple[str, ...] = ("-O2",)

    @property
    def missing(self) -> str:
        """The first program that is not here, if any."""
        programs = (self.compiler, *self.simulator[:1])
        return next((program for program in programs if shutil.which(program) is None), "")


PROCESSORS = {
    "here": Processor("gcc", flags=("-O1", *SANITIZERS)),
    "armv7": Processor("arm-linux-gnueabihf-gcc", ("qemu-arm-static",), ("-O2", "-static")),
    "aarch64": Processor("aarch64-linux-gnu-gcc", ("qemu-aarch64-static",), ("-O2", "-static")),
}


def compiled(processor: str, folder: Path, *sources: Path) -> list[str]:
    """Return the command of a program made of the runtime and these sources; skip the test without a compiler."""
    described = PROCESSORS[processor]
    if described.missing:
        pytest.skip(f"{described.missing} is not installed: the C runtime is not tested on {processor}")
    program = folder / f"{processor}-{sources[0].stem}"
    if not program.exists():
        command = [
            described.compiler,
            *STRICT,
            *described.flags,
            f"-I{SOURCES}",
            f"-I{SOURCES}/examples",
            SOURCES / "eie.c",
            *sources,
        ]
        made = subprocess.run([*map(str, command), "-o", str(program)], capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
    return [*described.simulator, str(program)]


class Runtime:
    """The C runtime on a virtual board.

    Parameters
    ----------
    command : list of str
        Of `compiled(processor, folder, *BRIDGE)`.
    board : VirtualBoard
    memory_bytes : int
        DMA memory that the platform gives.
    """

    def __init__(self, command: list[str], board: VirtualBoard, memory_bytes: int = 1 << 20) -> None:
        self.board = board
        self.block = board.memory.allocate(memory_bytes)
        limit = (1 << board.board.dma_length_bits) - 1
        self.process = subprocess.Popen(
            [*command, str(memory_bytes), str(self.block.address), str(limit)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.models: list = []

    def __enter__(self) -> Runtime:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.stdin.close()
        errors = self.process.stderr.read().decode()
        assert self.process.wait() == 0 or exception[0], errors
        assert not errors
        self.process.stdout.close()
        self.process.stderr.close()
        self.board.memory.free(self.block)

    # Commands: status, message, data.

    def open(self, deadline_us: int = 120_000_000) -> tuple[int, str]:
        return self.command(b"o", deadline_us)[:2]

    def load(self, file: bytes) -> tuple[int, str]:
        return self.command(b"l", len(file), data=file)[:2]

    def pack(self, models: list, config: object) -> tuple[int, str]:
        self.models = models
        return self.load(packed_bytes(models, config))

    def run(self, x: np.ndarray, model: int = 0, repeats: int = 1) -> tuple[int, str, np.ndarray]:
        raw = x.dtype == np.int16
        columns, rows = self.models[model].columns, self.models[model].layers[-1].rows
        numbers = (model, len(x), columns, rows, repeats)
        status, message, data = self.command(b"r" if raw else b"x", *numbers, data=x.tobytes())
        if repeats > 1:
            return status, message, np.frombuffer(data, np.uint64)
        return status, message, np.frombuffer(data, np.int16 if raw else np.float32).reshape(-1, rows)

    def command(self, kind: bytes, *numbers: int, data: bytes = b"") -> tuple[int, str, bytes]:
        """Give a command, and be bus and memory until it is done."""
        self._put(kind + struct.pack(f"<{len(numbers)}I", *numbers) + data)
        while True:
            kind, *numbers = struct.unpack("<cIII", self._get(13))
            if kind == b"D":
                status, length, nbytes = numbers
                return status, self._get(length).decode(), self._get(nbytes)
            self._serve(kind, *numbers)

    def _serve(self, kind: bytes, first: int, second: int, third: int) -> None:
        board = self.board.board
        if kind in b"RW":
            address = (board.array_address, board.dma_address)[first] + second
            if kind == b"R":
                self._put(struct.pack("<I", self.board.bus.read(address)))
            else:
                self.board.bus.write(address, third)
        elif kind == b"F":
            self.block.processor[first : first + second] = np.frombuffer(self._get(second), np.uint8)
            self.board.memory.flush(self.block.address + first, second)
        else:
            assert kind == b"I"
            self.board.memory.invalidate(self.block.address + first, second)
            self._put(self.block.processor[first : first + second].tobytes())

    def _put(self, data: bytes) -> None:
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def _get(self, nbytes: int) -> bytes:
        data = self.process.stdout.read(nbytes)
        assert len(data) == nbytes, self.process.stderr.read().decode()
        return data
