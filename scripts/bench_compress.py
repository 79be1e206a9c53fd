"""Measure compression: seconds and peak memory, against Lloyd's k-means on every weight, or another checkout.

Each measurement runs in a process of its own, so that its peak memory is its own. `--json` writes the figures;
`--against PATH` measures the same with the package of another checkout (its driver/), in turn. The ratio is that of the
processors' time, which other work on the machine hardly changes.
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
    "mobile": ([(24, 2), (40, 2), (80, 2), (112, 1), (160, 2)], 60.0, 2.0),
    "mobile-terms": ([(24, 2), (40, 2), (80, 2), (112, 1), (160, 2)], 60.0, 2.0),
}
"""Shapes (rows, columns), or channels and strides of inverted residuals; most seconds, most GB."""

DENSITY = 0.09
CALIBRATION = 64
METHODS = ("eie", "eie-linear", "lloyd", "scipy")


def measure(case: str, method: str) -> dict[str, float]:
    """Measure once, in this process."""
    import numpy as np

    from eie.compression.compress import compress
    from eie.network.model import Dense

    if case.startswith("mobile"):
        return measure_mobile(case)
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


def measure_mobile(case: str) -> dict[str, float]:
    """Compress a convolutional network: at density 0.3, or whole with two terms."""
    import warnings

    import numpy as np

    import eie

    rng = np.random.default_rng(1)
    x = rng.standard_normal((4, 3, 96, 96)).cumsum(axis=2).cumsum(axis=3).astype(np.float32) / 96
    options = {"density": 0.3} if case == "mobile" else {"density": 1, "terms": 2}
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", eie.errors.AccuracyWarning)  # so few weights of random ones do not suffice
        report = eie.compress(mobile_network(rng, CASES[case][0]), calibration=x, **options).metadata["compression"]
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    quality = [layer["output_sqnr_db"] for layer in report["layers"] if layer["output_sqnr_db"]]
    return {
        "seconds": seconds,
        "peak_gb": peak,
        "weights_db": statistics.mean(quality),  # of the layers' outputs
        "outputs_db": report["end_sqnr_db"],
    }


def mobile_network(rng, blocks):
    """Return inverted residuals (1 x 1, depthwise 5 x 5, 1 x 1), random weights, and a classifier."""
    import numpy as np

    from eie.network.graph import Graph, Node, Value

    nodes, constants, value, channels = [], {}, "x", 3

    def add(operator, *shape, **attributes):
        nonlocal value
        inputs, output = [value], f"t{len(nodes)}"
        if shape:
            inputs.append(f"w{len(constants)}")
            size = (2 / np.prod(shape[1:])) ** 0.5
            constants[inputs[1]] = (size * rng.standard_normal(shape)).astype(np.float32)
        nodes.append(Node(operator, tuple(inputs), (output,), attributes))
        value = output

    for outputs, stride in blocks:
        wide = 6 * channels
        add("Conv", wide, channels, 1, 1)
        add("HardSwish")
        add("Conv", wide, 1, 5, 5, group=wide, pads=[2, 2, 2, 2], strides=[stride, stride])
        add("HardSwish")
        add("Conv", outputs, wide, 1, 1)
        channels = outputs
    add("GlobalAveragePool")
    add("Flatten")
    add("MatMul", channels, 1000)
    return Graph(nodes, [Value("x", shape=("n", 3, 96, 96))], [Value(value)], constants)


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


def repeat(case: str, method: str, runs: int, checkout: Path | None = None) -> dict[str, float]:
    """Measure in fresh processes, perhaps with another checkout's package; return the medians."""
    results = []
    environment = dict(os.environ) if checkout is None else {**os.environ, "PYTHONPATH": str(checkout / "driver")}
    for _ in range(runs):
        command = [sys.executable, __file__, "--one", case, method]
        run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
        results.append(json.loads(run.stdout))
    figures = {key: statistics.median(result[key] for result in results) for key in results[0]}
    return {**figures, "fastest": min(r["seconds"] for r in results), "slowest": max(r["seconds"] for r in results)}


def main() -> int:
    """Run the command line; the exit status is 1 if a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of each measurement (3)")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["eie", "eie-linear", "scipy"])
    parser.add_argument("--threads", type=int, help="threads of the BLAS (its own choice)")
    parser.add_argument("--against", type=Path, metavar="PATH", help="another checkout to measure too")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures there")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps({**measure(*arguments.one), "cpu": time.process_time()}))
        return 0
    if arguments.threads:
        os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(arguments.threads)

    figures: dict[str, dict[str, dict[str, float]]] = {}
    missed = False
    print(f"{'case':8} {'method':11} {'median':>8} {'range':>15} {'peak':>8} {'weights':>9} {'CPU / eie':>10}")
    for case in arguments.cases:
        _, most_seconds, most_gb = CASES[case]
        figures[case] = {}
        methods = [method for method in arguments.methods if method == "eie" or not case.startswith("mobile")]
        for method in [*methods, *(["against"] if arguments.against else [])]:
            there = arguments.against if method == "against" else None
            row = figures[case][method] = repeat(case, "eie" if there else method, arguments.runs, there)
            ratio = row["cpu"] / figures[case]["eie"]["cpu"] if "eie" in figures[case] else float("nan")
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
