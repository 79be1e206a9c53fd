"""Measure compression: seconds and peak memory, against Lloyd's k-means on every weight.

Each measurement runs in a process of its own, so that its peak memory is its own. `--json` writes the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ALEXNET = [(4096, 9216), (4096, 4096), (1000, 4096)]
CASES = {
    "fc6": (ALEXNET[:1], 10.0, 1.5),
    "alexnet": (ALEXNET, 60.0, 2.0),
}
"""Shapes (rows, columns), most seconds, most GB."""

DENSITY = 0.09
CALIBRATION = 64
METHODS = ("eie", "eie-linear", "lloyd", "scipy")


def measure(case: str, method: str) -> dict[str, float]:
    """Measure once, in this process."""
    import numpy as np

    from eie.compression.compress import compress
    from eie.network.model import Dense

    rng = np.random.default_rng(1)
    shapes = CASES[case][0]
    network = [
        Dense(rng.standard_normal(s, dtype=np.float32) * np.float32(0.01), np.zeros(s[0], np.float32), "relu")
        for s in shapes
    ]
    x = np.maximum(rng.standard_normal((CALIBRATION, shapes[0][1]), dtype=np.float32), 0)
    start = time.perf_counter()
    if method.startswith("eie"):
        model = compress(network, DENSITY, x, sharing="linear" if method == "eie-linear" else "kmeans")
        layers = model.metadata["compression"]["layers"]
        quality = layers[0]["weight_sqnr_db"]
        extra = {"outputs_db": layers[-1]["output_sqnr_db"], "fixed_point_db": layers[-1]["fixed_point_sqnr_db"]}
    else:
        quality, extra = max(alternative(layer.weight, method) for layer in network), {}
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return {"seconds": seconds, "peak_gb": peak, "weights_db": quality, **extra}


def alternative(weight, method: str) -> float:
    """Prune by sorting all magnitudes and share by k-means on all kept weights; return the SQNR in dB.

    That is all it does: no fixed point, no calibration, no encoding and no report.
    """
    import numpy as np

    threshold = np.sort(np.abs(weight), axis=None)[-round(DENSITY * weight.size)]
    kept = weight[np.abs(weight) >= threshold]
    centroids = np.linspace(kept.min(), kept.max(), 15, dtype=np.float32)
    if method == "scipy":
        from scipy.cluster.vq import kmeans2

        # 100 iterations, as few as leave the squared error within reach of the fixed point's.
        centroids, codes = kmeans2(kept[:, None], centroids[:, None], iter=100, minit="matrix", missing="warn")
        centroids = centroids[:, 0]
    else:
        for _ in range(100):
            codes = np.zeros(len(kept), np.int64)
            best = np.full(len(kept), np.inf, np.float32)
            for k, centroid in enumerate(centroids):
                distance = np.abs(kept - centroid)
                closer = distance < best
                best[closer], codes[closer] = distance[closer], k
            counts = np.bincount(codes, minlength=15)
            means = np.bincount(codes, weights=kept, minlength=15) / np.maximum(counts, 1)
            moved = np.where(counts > 0, means, centroids).astype(np.float32)
            if np.array_equal(moved, centroids):
                break
            centroids = moved
    error = kept - centroids[codes]
    return float(10 * np.log10(np.dot(kept, kept) / np.dot(error, error)))


def repeat(case: str, method: str, runs: int) -> dict[str, float]:
    """Measure in fresh processes; return the medians."""
    results = []
    for _ in range(runs):
        command = [sys.executable, __file__, "--one", case, method]
        results.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))
    figures = {key: statistics.median(result[key] for result in results) for key in results[0]}
    return {**figures, "fastest": min(r["seconds"] for r in results), "slowest": max(r["seconds"] for r in results)}


def main() -> int:
    """Run the command line; the exit status is 1 if a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of each measurement (3)")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["eie", "eie-linear", "scipy"])
    parser.add_argument("--threads", type=int, help="threads of the BLAS (its own choice)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures there")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(*arguments.one)))
        return 0
    if arguments.threads:
        os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(arguments.threads)

    figures: dict[str, dict[str, dict[str, float]]] = {}
    missed = False
    print(f"{'case':8} {'method':11} {'median':>8} {'range':>15} {'peak':>8} {'weights':>9} {'time / eie':>10}")
    for case in arguments.cases:
        _, most_seconds, most_gb = CASES[case]
        figures[case] = {}
        for method in arguments.methods:
            row = figures[case][method] = repeat(case, method, arguments.runs)
            ratio = row["seconds"] / figures[case]["eie"]["seconds"] if "eie" in figures[case] else float("nan")
            spread = f"{row['fastest']:.1f}..{row['slowest']:.1f} s"
            print(
                f"{case:8} {method:11} {row['seconds']:6.1f} s {spread:>15} {row['peak_gb']:5.2f} GB "
                f"{row['weights_db']:6.2f} dB {ratio:10.1f}",
                flush=True,
            )
            if method == "eie":
                missed |= row["seconds"] > most_seconds or row["peak_gb"] > most_gb
        print(f"{case:8} limits: {most_seconds:g} s, {most_gb:g} GB")
    if arguments.json:
        from eie.atomic import replacing

        with replacing(arguments.json) as partial:
            partial.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
