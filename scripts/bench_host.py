#!/usr/bin/env python3
"""What the host spends on an inference, per stage: everything the driver does apart from waiting for the array.

Runs the shipped LeNet-300-100 on a batch of MNIST-sized images through the real pynq library on the virtual board
(scripts/test_pynq.sh makes an environment that has pynq), whose flush of a DMA buffer is a copy; or, with
--device none, through a device that takes no time and gives zeros, to see the driver alone.

    build/pynq-3.1.2/bin/python scripts/bench_host.py

Both by the wall clock, which counts what else the machine does, and by the processor's time on this thread. Runs of
either kind alternate.
"""

import argparse
import contextlib
import cProfile
import json
import platform
import pstats
import time
from collections.abc import Iterator

import numpy as np

import eie
from eie.data import mnist
from eie.devices.interface import Device
from eie.runtime.transfers import STAGES

MODEL = mnist.DATA / "lenet-300-100.eie"
CLOCKS = {"wall clock": time.perf_counter, "processor time": time.thread_time}
LIMIT = 3.0
"""Microseconds an image that the host may take."""


class NoDevice(eie.EmulatedDevice):
    """Takes what it is sent and gives zeros back, at once."""

    def send(self, buffer: np.ndarray, reply_bytes: int = 0, changed: object = None) -> None:
        self.reply = np.zeros(reply_bytes, np.uint8)

    def receive(self, nbytes: int) -> np.ndarray:
        return self.reply


class InstantDevice(eie.EmulatedDevice):
    """The array behind the virtual board, without computing: zeros of the right length, at once."""

    reply_bytes = 0

    def send(self, buffer: np.ndarray, reply_bytes: int = 0, changed: object = None) -> None:
        pass

    def receive(self, nbytes: int) -> np.ndarray:
        reply, self.reply_bytes = np.zeros(self.reply_bytes, np.uint8), 0
        return reply


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("virtual", "none"), default="virtual")
    parser.add_argument("--board", default="pynq-z2")
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--profile", action="store_true", help="also print the functions that take longest")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with device(args) as (target, before_run):
        result = measure(target, before_run, args)
    if args.json:
        print(json.dumps(result))
        return
    print(f"{result['batch']} images a run, {result['runs']} runs, numpy {np.__version__}, {platform.machine()}")
    print(f"{'':17}{'wall clock':>16}{'processor time':>18}")
    print(f"{'us an image':<17}{'best':>8}{'median':>8}{'best':>10}{'median':>8}")
    for stage in (*STAGES, "host"):
        wall, processor = result["wall clock"][stage], result["processor time"][stage]
        name = stage if stage != "host" else "all but wait"
        print(f"{name:<17}{wall[0]:8.2f}{wall[1]:8.2f}{processor[0]:10.2f}{processor[1]:8.2f}")
    median = result["processor time"]["host"][1]
    print(f"limit {LIMIT} for all but wait: {'met' if median <= LIMIT else 'NOT MET'} by the median of processor time")


@contextlib.contextmanager
def device(args: argparse.Namespace) -> Iterator[tuple[Device, object]]:
    """Give the device, and what must be called with the bytes of a run's reply before it."""
    if args.device == "none":
        yield NoDevice(), None
        return
    from eie.boards.board import board
    from eie.devices.virtual import VirtualBoard

    executor = InstantDevice(board(args.board).config)
    with VirtualBoard(args.board, executor) as virtual:
        yield eie.PynqDevice(virtual.bitfile), executor


def measure(target: Device, executor: object, args: argparse.Namespace) -> dict:
    x = np.random.default_rng(0).random((args.batch, 784), np.float32)
    acc = eie.Accelerator(target)
    acc.load(MODEL)
    if executor is not None:
        # The array must know how much to give back, which it would compute.
        send = target.send

        def announce(buffer: np.ndarray, reply_bytes: int = 0) -> None:
            executor.reply_bytes = reply_bytes
            send(buffer, reply_bytes)

        target.send = announce
    profile = cProfile.Profile(time.thread_time)
    times = {name: [] for name in CLOCKS}
    acc.run(x)
    for i in range(len(CLOCKS) * args.runs):
        name = list(CLOCKS)[i % len(CLOCKS)]
        acc.times.clear()
        acc.times.clock = CLOCKS[name]
        if args.profile:
            profile.enable()
        acc.run(x)
        profile.disable()
        times[name].append([1e6 * acc.times.seconds[stage] / args.batch for stage in STAGES])
    acc.close()
    if args.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
    return {"batch": args.batch, "runs": args.runs, **{name: summary(np.array(times[name])) for name in CLOCKS}}


def summary(times: np.ndarray) -> dict:
    """Return best and median of each stage, and of all but waiting; the best is that of the run with the best sum."""
    host = times[:, [stage != "wait" for stage in STAGES]].sum(axis=1)
    best, median = times[host.argmin()], np.median(times, axis=0)
    stages = {stage: (float(best[i]), float(median[i])) for i, stage in enumerate(STAGES)}
    return {**stages, "host": (float(host.min()), float(np.median(host)))}


if __name__ == "__main__":
    main()
