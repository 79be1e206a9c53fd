#!/usr/bin/env python3
"""What the host spends on an inference from C and from Python on the same virtual board: all but the board itself.

    python scripts/bench_c.py [--arm]

Both run in this process, in turns, by the wall clock. C: the runtime as a library (scripts/bench_c.c), whose platform
is the virtual board; the time in the platform's functions is taken off. Python: `eie.Accelerator` on the emulation, the
time outside of it. Best and median. With --arm, instructions of the runtime that armv7 and aarch64 execute for a call,
counted by qemu, with the runtime at a pipe (tests/driver/c/bridge.c): those of many calls less those of few.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import eie
from eie.boards.board import board
from eie.data import mnist
from eie.devices.emulation.device import EmulatedDevice
from eie.program.packed_file import packed_bytes

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.driver.c.bridge import BRIDGE, PROCESSORS, SOURCES, Runtime  # noqa: E402
from tests.keywords import KEYWORDS, keyword_network  # noqa: E402

from eie.devices.virtual import VirtualBoard  # noqa: E402

BOARD = board("pynq-z2")
LIMIT_US = 5.0
REPEATS = 20


class CountedDevice(EmulatedDevice):
    """The emulation, and the time spent in it: what Python's host side waits for."""

    outside = 0.0

    def send(self, buffer: np.ndarray, reply_bytes: int = 0, changed: object = None) -> None:
        self._timed(super().send, buffer, reply_bytes, changed)

    def receive(self, nbytes: int) -> np.ndarray:
        return self._timed(super().receive, nbytes)

    def read_register(self, offset: int) -> int:
        return self._timed(super().read_register, offset)

    def _timed(self, function, *arguments):
        began = time.perf_counter()
        try:
            return function(*arguments)
        finally:
            self.outside += time.perf_counter() - began


class Library:
    """The C runtime in this process, on a virtual board, with a model loaded."""

    def __init__(self, library: Path, model: eie.Model, memory_bytes: int = 1 << 23) -> None:
        self.virtual = VirtualBoard(BOARD)
        self.block = self.virtual.memory.allocate(memory_bytes)
        self.memory = aligned(np.zeros(memory_bytes, np.uint8))
        self.file = aligned(np.frombuffer(packed_bytes([model], BOARD.config), np.uint8))
        self.rows = model.layers[-1].rows
        self.library = ctypes.CDLL(str(library))
        self.library.bench_run.restype = ctypes.c_uint64
        self.library.bench_message.restype = ctypes.c_char_p
        number, size = ctypes.c_uint32, ctypes.c_size_t
        self.functions = (
            ctypes.CFUNCTYPE(number, number, number)(self._read),
            ctypes.CFUNCTYPE(None, number, number, number)(self._write),
            ctypes.CFUNCTYPE(None, size, size)(self._flush),
            ctypes.CFUNCTYPE(None, size, size)(self._invalidate),
        )
        memory = pointer(self.memory), ctypes.c_uint64(self.block.address), size(memory_bytes)
        limit = number((1 << BOARD.dma_length_bits) - 1)
        if self.library.bench_open(*self.functions, *memory, limit, pointer(self.file), size(len(self.file))):
            raise SystemExit(self.library.bench_message().decode())

    def run(self, x: np.ndarray, repeats: int = 1) -> tuple[float, np.ndarray]:
        """Return microseconds of a call, and its outputs."""
        y = np.empty((len(x), self.rows), np.float32)
        spent = self.library.bench_run(pointer(x), ctypes.c_uint32(len(x)), pointer(y), ctypes.c_uint32(repeats))
        if not spent:
            raise SystemExit(self.library.bench_message().decode())
        return spent / 1e3 / repeats, y

    def _read(self, port: int, offset: int) -> int:
        return int(self.virtual.bus.read((BOARD.array_address, BOARD.dma_address)[port] + offset))

    def _write(self, port: int, offset: int, value: int) -> None:
        self.virtual.bus.write((BOARD.array_address, BOARD.dma_address)[port] + offset, value)

    def _flush(self, offset: int, nbytes: int) -> None:
        self.block.processor[offset : offset + nbytes] = self.memory[offset : offset + nbytes]
        self.virtual.memory.flush(self.block.address + offset, nbytes)

    def _invalidate(self, offset: int, nbytes: int) -> None:
        self.virtual.memory.invalidate(self.block.address + offset, nbytes)
        self.memory[offset : offset + nbytes] = self.block.processor[offset : offset + nbytes]


def aligned(data: np.ndarray) -> np.ndarray:
    """Return a copy of bytes at a multiple of 64."""
    room = np.empty(len(data) + 64, np.uint8)
    begin = -room.ctypes.data % 64
    room[begin : begin + len(data)] = data
    return room[begin : begin + len(data)]


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arm", action="store_true")
    parser.add_argument("--runs", type=int, default=9)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        library = build("gcc", ("-O3", "-shared", "-fPIC"), Path(folder) / "here.so", ROOT / "scripts/bench_c.c")
        print(f"{'us an inference':<24}{'C: best':>9}{'median':>8}{'Python: best':>14}{'median':>9}{'ratio':>7}")
        for name, model, inputs in networks():
            for batch in (1, 1000):
                x = np.resize(inputs, (batch, model.columns))
                c, python = measure(library, model, x, args.runs)
                verdict = "" if statistics.median(c) <= LIMIT_US else f"   NOT within {LIMIT_US} us"
                print(
                    f"{f'{name}, batch {batch}':<24}{min(c):9.2f}{statistics.median(c):8.2f}{min(python):14.2f}"
                    f"{statistics.median(python):9.2f}{statistics.median(python) / statistics.median(c):7.0f}{verdict}"
                )
        for processor in ("armv7", "aarch64") if args.arm else ():
            described = PROCESSORS[processor]
            program = build(described.compiler, described.flags, Path(folder) / processor, *BRIDGE)
            for name, model, inputs in networks():
                count = instructions(processor, program, model, inputs[:1])
                print(f"{name}: {count:,.0f} instructions a call on {processor}")
            if STORIES.exists():
                each = [token_instructions(processor, Path(folder), position) for position in POSITIONS]
                mean = statistics.mean(each)
                print(f"stories260K: {mean:,.0f} instructions a token on {processor}, but for its products")


def networks() -> Iterator[tuple[str, eie.Model, np.ndarray]]:
    """Give names, models, and a few inputs in fixed point."""
    lenet = eie.load(mnist.DATA / "lenet-300-100.eie")
    images = mnist.test_digits().inputs()[:100].astype(np.float32)
    yield "LeNet", lenet, images
    if KEYWORDS.exists():
        yield "keywords", keyword_network()[0], np.load(KEYWORDS / "samples.npz")["inputs"][:100].astype(np.float32)
    else:
        print("keywords: left out, needs ../shared/data/kws_w3a3")


def build(compiler: str, flags: tuple[str, ...], program: Path, *sources: Path) -> Path:
    files = map(str, (SOURCES / "eie.c", *sources))
    includes = [f"-I{SOURCES}", f"-I{SOURCES}/examples"]
    subprocess.run([compiler, "-std=c99", *flags, *includes, *files, "-lm", "-o", str(program)], check=True)
    return program


def measure(library: Path, model: eie.Model, x: np.ndarray, runs: int) -> tuple[list[float], list[float]]:
    """Return microseconds an inference, of C and of Python, run by run."""
    c, python = [], []
    device = CountedDevice(BOARD.config)
    accelerator = eie.Accelerator(device)
    accelerator.load(model)
    runtime = Library(library, model)
    if not np.array_equal(runtime.run(x)[1], accelerator.run(x)):
        raise SystemExit("outputs differ")
    repeats = REPEATS if len(x) == 1 else 2
    for _ in range(runs):
        c.append(runtime.run(x, repeats)[0] / len(x))
        device.outside, began = 0.0, time.perf_counter()
        for _ in range(repeats):
            accelerator.run(x)
        spent = time.perf_counter() - began - device.outside
        python.append(1e6 * spent / repeats / len(x))
    return c, python


def instructions(processor: str, program: Path, model: eie.Model, x: np.ndarray) -> float:
    """Return the instructions of a call that are the runtime's own: of many calls less of few."""
    own = symbols(processor, SOURCES / "eie.c", PROCESSORS[processor].flags)
    counts = []
    for repeats in (2, 22):
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            # One instruction a block, and a line for each block that ends with the function's name.
            command = [*PROCESSORS[processor].simulator, "-singlestep", "-d", "exec,nochain", "-D", str(log)]
            with Runtime([*command, str(program)], VirtualBoard(BOARD), 1 << 20) as runtime:
                for status, message in (runtime.open(), runtime.pack([model], BOARD.config)):
                    if status:
                        raise SystemExit(message)
                before = os.path.getsize(log)
                runtime.run(x, repeats=repeats)
            with log.open("rb") as file:
                file.seek(before)
                counts.append(sum(line.split()[-1] in own for line in file if line.startswith(b"Trace")))
    return (counts[1] - counts[0]) / 20


STORIES = ROOT.parent / "shared/data/stories260k/stories260K.bin"
POSITIONS = (0, 21, 42, 63)
"""Of a token in its text: the mean is that of 64 tokens."""
FASTEST = {"armv7": ("-O3", "-mcpu=cortex-a9", "-mfpu=neon", "-ffast-math"), "aarch64": ("-O3", "-ffast-math")}


def token_instructions(processor: str, folder: Path, position: int) -> float:
    """Return the instructions of a token outside of its products: of many tokens less of few."""
    described = PROCESSORS[processor]
    flags = (*FASTEST[processor], "-static")
    program = folder / f"stories-{processor}"
    source, log = SOURCES / "examples/stories.c", folder / "log"
    if not program.exists():
        build(described.compiler, flags, program, source, ROOT / "scripts/bench_stories.c")
    own = symbols(processor, source, flags)
    counts = []
    for tokens in (1, 3):
        command = [*described.simulator, "-singlestep", "-d", "exec,nochain", "-D", log, program, STORIES]
        subprocess.run([*map(str, command), str(position), str(tokens)], check=True)
        with log.open("rb") as file:
            counts.append(sum(line.split()[-1] in own for line in file if line.startswith(b"Trace")))
    return (counts[1] - counts[0]) / 2


DIVISION = {b"__udivsi3", b"__aeabi_uidiv", b"__aeabi_uidivmod"}
"""What the runtime calls besides itself, where the processor does not divide."""


def symbols(processor: str, source: Path, flags: tuple[str, ...]) -> set[bytes]:
    """Return the names of the functions of a source, and of division."""
    compiler = PROCESSORS[processor].compiler
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "source.o"
        command = [compiler, "-std=c99", *flags, f"-I{SOURCES}", "-c", str(source), "-o", str(target)]
        subprocess.run(command, check=True)
        nm = compiler.replace("gcc", "nm")
        listed = subprocess.run([nm, "--defined-only", str(target)], check=True, capture_output=True)
    return {line.split()[-1] for line in listed.stdout.splitlines()} | DIVISION


if __name__ == "__main__":
    main()
