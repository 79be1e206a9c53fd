"""Measure the simulated hardware: seconds to build it, and clock cycles a second through the driver.

The shipped LeNet model runs on MNIST test images, several times; the outputs must equal the emulation's. All clock
cycles count: loading, computing, storing, reading back. Beside the wall's seconds stand the processor's, for a machine
that is busy with something else. The driver's own time is in both.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import eie
from eie.atomic import replacing
from eie.data.mnist import DATA, test_digits
from eie.devices.emulation.device import EmulatedDevice
from eie.devices.rtl.device import build


def build_from_nothing(config: eie.ArrayConfig) -> dict[str, float]:
    """Build the simulation in an empty cache; return the seconds of that, and of taking it from the cache."""
    before = os.environ.get("XDG_CACHE_HOME")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        try:
            start, start_cpu = time.perf_counter(), _cpu_seconds()
            build(config)
            seconds = {"seconds": time.perf_counter() - start, "cpu_seconds": _cpu_seconds() - start_cpu}
            start = time.perf_counter()
            build(config)
            return {**seconds, "cached_seconds": time.perf_counter() - start}
        finally:
            if before is None:
                del os.environ["XDG_CACHE_HOME"]
            else:
                os.environ["XDG_CACHE_HOME"] = before


def clock_rate(config: eie.ArrayConfig, images: int, runs: int) -> dict[str, object]:
    """Return the clock cycles, and cycles a second of each run; the run that loads the weights is left out."""
    inputs = test_digits().images[:images].reshape(images, -1).astype(np.float32)
    model = DATA / "lenet-300-100.eie"
    emulation = eie.Accelerator(EmulatedDevice(config))
    emulation.load(model)
    expected = emulation.run(inputs)
    wall, cpu = [], []
    with eie.RtlDevice(config) as device:
        accelerator = eie.Accelerator(device)
        accelerator.load(model)
        for _ in range(runs + 1):
            before = accelerator.counters
            cycles, start, start_cpu = device.cycles, time.perf_counter(), time.process_time()
            outputs = accelerator.run(inputs)
            cycles = device.cycles - cycles
            wall.append(cycles / (time.perf_counter() - start))
            cpu.append(cycles / (time.process_time() - start_cpu))
            np.testing.assert_array_equal(outputs, expected)
            after = accelerator.counters
    return {
        "cycles": cycles,
        "busy_cycles": after.busy - before.busy,
        "compute_cycles": after.cycles - before.cycles,
        "cycles_per_second": wall[1:],
        "cycles_per_cpu_second": cpu[1:],
    }


def _cpu_seconds() -> float:
    """Return the processor's seconds of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _spread(rates: list[float]) -> str:
    return f"{statistics.median(rates):9,.0f} (of {len(rates)} runs: {min(rates):,.0f}..{max(rates):,.0f})"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pes", type=int, default=64, help="processing elements (default: 64)")
    parser.add_argument("--images", type=int, default=100, help="images a run (default: 100)")
    parser.add_argument("--runs", type=int, default=5, help="runs (default: 5)")
    parser.add_argument("--no-build", action="store_true", help="do not measure the build; take it from the cache")
    parser.add_argument("--json", type=Path, help="write all figures there")
    options = parser.parse_args(arguments)
    config = eie.ArrayConfig(num_pes=options.pes)

    figures: dict[str, object] = {"pes": options.pes, "images": options.images}
    if not options.no_build:
        figures["build"] = seconds = build_from_nothing(config)
        print(
            f"build of {options.pes} PEs: {seconds['seconds']:.1f} s ({seconds['cpu_seconds']:.1f} s of processor), "
            f"from the cache {seconds['cached_seconds'] * 1e3:.0f} ms"
        )
    figures["clock"] = rate = clock_rate(config, options.images, options.runs)
    print(
        f"{rate['cycles']:,} clock cycles a run of {options.images} images, "
        f"busy in {rate['busy_cycles']:,}, of COMPUTE {rate['compute_cycles']:,}"
    )
    print(f"clock cycles a second:           {_spread(rate['cycles_per_second'])}")
    print(f"clock cycles a processor second: {_spread(rate['cycles_per_cpu_second'])}")
    if options.json:
        with replacing(options.json) as partial:
            partial.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
