"""Measure the emulation against what a user would use instead, all in one run.

Alex-6 (9216 x 4096, 9 % of weights, 35.1 % of activations): device call alone, that is `send` and `receive` of prepared
buffers, against the product of a scipy CSR matrix in float32. LeNet-300-100: the shipped model on the 10,000 MNIST test
images, floats in and floats out, against its dense forward pass in float32 numpy. Each with numpy alone and with numba.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

# One thread for everybody: the emulation's product is sequential, and so is scipy's.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import eie
from eie.atomic import replacing
from eie.data.mnist import DATA, test_digits
from eie.devices.emulation import tile_products
from eie.program.packing import pack

ROWS, COLUMNS = 4096, 9216
WEIGHT_DENSITY, ACTIVATION_DENSITY = 0.09, 0.351
VARIANTS = ("numba", "numpy")
CASES = ("alex6-1", "alex6-64", "lenet")
LIMITS = {
    ("alex6-1", "numba"): 1.0,
    ("alex6-1", "numpy"): 3.0,
    ("alex6-64", "numba"): 2.0,
    ("lenet", "numba"): 2.0,
    ("lenet", "numpy"): 3.0,
}
"""Most time, in times of the alternative's."""


def interleave(runs: int, *calls: Callable[[], object]) -> list[list[float]]:
    """Time the calls in turn, so that a change of the machine's load meets all of them; the first round is left out."""
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(runs + 1):
        for call, times in zip(calls, seconds, strict=True):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
    return [times[1:] for times in seconds]


def alex6_layer() -> eie.Layer:
    """Return a random layer of the benchmark's shape and density."""
    rng = np.random.default_rng(0)
    codes = rng.integers(1, 16, (ROWS, COLUMNS), dtype=np.uint8)
    codes[rng.random((ROWS, COLUMNS), dtype=np.float32) >= WEIGHT_DENSITY] = 0
    return eie.Layer.from_dense_codes(codes, np.r_[0, rng.integers(-1000, 1000, 15)], shift=12, relu=True)


def alex6(batches: list[int], runs: int) -> dict[str, list[list[float]]]:
    """Time the device call and scipy's product for each batch."""
    import scipy.sparse

    layer = alex6_layer()
    model = eie.Model([layer])
    config = eie.ArrayConfig.paper()
    packed = pack(model, config)
    assert packed.resident, "the layer no longer fits the array of the paper"
    device = eie.EmulatedDevice(config)
    device.send(packed.weights.view(np.uint8))
    csr = scipy.sparse.csr_matrix(layer.dense_weights().astype(np.float32))
    (segment,) = packed.segments

    times = {}
    rng = np.random.default_rng(1)
    for batch in batches:
        active = rng.random((batch, COLUMNS)) < ACTIVATION_DENSITY
        a = (rng.integers(1, 3000, (batch, COLUMNS)) * active).astype(np.int16)
        words = np.zeros(segment.words(batch), np.uint64)
        segment.fill(a, words)
        buffer = words.view(np.uint8)
        nbytes = batch * segment.output_words * 8
        x = a[0].astype(np.float32) if batch == 1 else np.ascontiguousarray(a.T, np.float32)

        def call(buffer=buffer, nbytes=nbytes) -> np.ndarray:
            device.send(buffer)
            return device.receive(nbytes)

        assert np.array_equal(segment.unpack(call(), batch), eie.reference(model, a))
        times[f"alex6-{batch}"] = interleave(runs, call, lambda x=x: csr @ x)
    return times


def lenet(runs: int) -> dict[str, list[list[float]]]:
    """Time the shipped model end to end and its dense forward pass in float32."""
    model = eie.load(DATA / "lenet-300-100.eie")
    accelerator = eie.Accelerator(eie.EmulatedDevice())
    accelerator.load(model)
    x = test_digits().inputs()
    layers = [
        (layer.dense_weights().T.astype(np.float32), layer.bias.astype(np.float32), layer.relu)
        for layer in model.layers
    ]

    # Into the same memory every time: where fresh memory is dear, getting it takes longer than the products.
    results = [np.empty((len(x), len(bias)), np.float32) for _, bias, _ in layers]

    def dense() -> np.ndarray:
        y = x
        for (weight, bias, relu), result in zip(layers, results, strict=True):
            y = np.matmul(y, weight, out=result)
            y += bias
            if relu:
                np.maximum(y, 0, out=y)
        return y

    return {"lenet": interleave(runs, lambda: accelerator.run(x), dense)}


def measure(variant: str, cases: list[str], runs: int) -> dict[str, list[list[float]]]:
    """Measure in this process, with the compiled loop or without it."""
    if variant == "numpy":
        tile_products._kernels[:] = [None]
    elif tile_products.compiled_kernels() is None:
        raise SystemExit("numba is not installed: pip install 'eie-pynq[fast]', or --variants numpy")
    batches = [int(case.partition("-")[2]) for case in cases if case.startswith("alex6")]
    times = alex6(batches, runs) if batches else {}
    if "lenet" in cases:
        times |= lenet(runs)
    return times


def main() -> int:
    """Run the command line; the exit status is 1 if a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15, help="runs of each measurement (15)")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures there")
    parser.add_argument("--one", choices=VARIANTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments.cases, arguments.runs)))
        return 0

    figures: dict[str, dict[str, dict[str, float]]] = {case: {} for case in arguments.cases}
    missed = False
    print(f"{'case':9} {'variant':8} {'emulation':>11} {'range':>16} {'alternative':>12} {'ratio':>6} {'limit':>6}")
    for variant in arguments.variants:
        command = [sys.executable, __file__, "--one", variant, "--runs", str(arguments.runs), "--cases"]
        result = subprocess.run([*command, *arguments.cases], check=True, stdout=subprocess.PIPE, text=True)
        for case, (emulation, alternative) in json.loads(result.stdout).items():
            row = figures[case][variant] = {
                "seconds": statistics.median(emulation),
                "fastest": min(emulation),
                "slowest": max(emulation),
                "alternative_seconds": statistics.median(alternative),
            }
            # Round by round, as both of a round meet the same load of the machine.
            row["ratio"] = statistics.median(e / a for e, a in zip(emulation, alternative, strict=True))
            limit = LIMITS.get((case, variant))
            missed |= limit is not None and row["ratio"] > limit
            spread = f"{row['fastest'] * 1e3:.1f}..{row['slowest'] * 1e3:.1f}"
            print(
                f"{case:9} {variant:8} {row['seconds'] * 1e3:8.1f} ms {spread:>16} "
                f"{row['alternative_seconds'] * 1e3:9.1f} ms {row['ratio']:6.2f} {limit or '':>6}"
            )
            if case == "lenet":
                row["images_per_second"] = len(test_digits().labels) / row["seconds"]
                print(f"{'':18} {row['images_per_second']:,.0f} images/s")
    if arguments.json:
        with replacing(arguments.json) as partial:
            partial.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
