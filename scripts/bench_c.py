#!/usr/bin/env python3
"""What the host spends on an inference from C and from Python on the same virtual board: all but the board itself.

    python scripts/bench_c.py [--arm]

C: the runtime at the end of a pipe (tests/driver/c/bridge.c), the time outside its platform's functions; what looking
at the clock costs is taken off. Python: `eie.Accelerator` on the emulation, the time outside of it. Both by the wall
clock, in runs that alternate; best and median. With --arm, instructions that armv7 executes for a call, counted by
qemu: those of many calls less those of few, the pipe's included.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import eie
from eie.boards.board import board
from eie.data import mnist
from eie.devices.emulation.device import EmulatedDevice

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

    def send(self, buffer: np.ndarray, reply_bytes: int = 0) -> None:
        self._timed(super().send, buffer, reply_bytes)

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arm", action="store_true")
    parser.add_argument("--runs", type=int, default=9)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program = build("gcc", ("-O3",), Path(folder) / "here")
        print(f"{'us an inference':<24}{'C: best':>9}{'median':>8}{'Python: best':>14}{'median':>9}{'ratio':>7}")
        for name, model, inputs in networks():
            for batch in (1, 1000):
                x = np.resize(inputs, (batch, model.columns))
                c, python = measure(program, model, x, args.runs)
                verdict = "" if statistics.median(c) <= LIMIT_US else f"   NOT within {LIMIT_US} us"
                print(
                    f"{f'{name}, batch {batch}':<24}{min(c):9.2f}{statistics.median(c):8.2f}{min(python):14.2f}"
                    f"{statistics.median(python):9.2f}{statistics.median(python) / statistics.median(c):7.0f}{verdict}"
                )
        if args.arm:
            program = build(PROCESSORS["armv7"].compiler, PROCESSORS["armv7"].flags, Path(folder) / "arm")
            for name, model, inputs in networks():
                own, pipe = arm_instructions(program, model, inputs[:1])
                print(f"{name}: {own:,.0f} instructions a call on armv7, and {pipe:,.0f} for the pipe")


def networks():
    """Give names, models, and a few inputs in fixed point."""
    lenet = eie.load(mnist.DATA / "lenet-300-100.eie")
    images = mnist.test_digits().inputs()[:100].astype(np.float32)
    yield "LeNet", lenet, images
    if KEYWORDS.exists():
        yield "keywords", keyword_network()[0], np.load(KEYWORDS / "samples.npz")["inputs"][:100].astype(np.float32)
    else:
        print("keywords: left out, needs ../shared/data/kws_w3a3")


def build(compiler: str, flags: tuple[str, ...], program: Path) -> Path:
    sources = [SOURCES / "eie.c", *BRIDGE]
    includes = [f"-I{SOURCES}", f"-I{SOURCES}/examples"]
    subprocess.run([compiler, "-std=c99", *flags, *includes, *map(str, sources), "-o", str(program)], check=True)
    return program


def measure(program: Path, model: eie.Model, x: np.ndarray, runs: int) -> tuple[list[float], list[float]]:
    """Return microseconds an inference, of C and of Python, run by run."""
    c, python = [], []
    device = CountedDevice(BOARD.config)
    accelerator = eie.Accelerator(device)
    accelerator.load(model)
    expected = accelerator.run(x)
    with Runtime([str(program)], VirtualBoard(BOARD), 1 << 23) as runtime:
        opened(runtime, model)
        if not np.array_equal(runtime.run(x)[2], expected):
            raise SystemExit("outputs differ")
        repeats = REPEATS if len(x) == 1 else 2
        for _ in range(runs):
            inside, _ = runtime.run(x, repeats=repeats)[2]
            c.append(inside / 1e3 / repeats / len(x))
            device.outside, began = 0.0, time.perf_counter()
            for _ in range(repeats):
                accelerator.run(x)
            spent = time.perf_counter() - began - device.outside
            python.append(1e6 * spent / repeats / len(x))
    return c, python


def opened(runtime: Runtime, model: eie.Model) -> None:
    for status, message in (runtime.open(), runtime.pack([model], BOARD.config)):
        if status:
            raise SystemExit(message)


def arm_instructions(program: Path, model: eie.Model, x: np.ndarray) -> tuple[float, float]:
    """Return the instructions of a call, the runtime's own and the pipe's: many calls less few."""
    own = runtime_symbols(PROCESSORS["armv7"].compiler)
    counts = []
    for repeats in (2, 22):
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            # One instruction a block, and a line for each block that ends with the function's name.
            command = ["qemu-arm-static", "-singlestep", "-d", "exec,nochain", "-D", str(log), str(program)]
            with Runtime(command, VirtualBoard(BOARD), 1 << 20) as runtime:
                opened(runtime, model)
                before = os.path.getsize(log)
                runtime.run(x, repeats=repeats)
            with log.open("rb") as file:
                file.seek(before)
                names = [line.split()[-1].decode() for line in file if line.startswith(b"Trace")]
            mine = sum(name in own or any(part in name for part in OTHERS) for name in names)
            counts.append((mine, len(names) - mine))
    mine, others = ((many - few) / 20 for few, many in zip(*counts, strict=True))
    return mine, others


OTHERS = ("memcpy", "memset", "clock_gettime", "nanoseconds", "microseconds", "udivmod")
"""What functions are called that the runtime uses besides its own: copying, the clock, and its division."""


def runtime_symbols(compiler: str) -> set[str]:
    """Return the names of the functions of eie.c."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "eie.o"
        source = ["-c", str(SOURCES / "eie.c"), f"-I{SOURCES}", "-o", str(target)]
        subprocess.run([compiler, "-std=c99", *PROCESSORS["armv7"].flags, *source], check=True)
        nm = compiler.replace("gcc", "nm")
        listed = subprocess.run([nm, "--defined-only", str(target)], check=True, capture_output=True, text=True)
    return {line.split()[-1] for line in listed.stdout.splitlines()}


if __name__ == "__main__":
    main()
