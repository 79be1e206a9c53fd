"""Useful-MAC utilisation of the array on the paper's nine layers at 64 PEs, and its distance from an ideal pipeline.

By the cycle model, which equals the hardware's counters cycle for cycle (tests/hw/test_cycle_model.py). Memories are as
deep as a layer needs, so that it is the array that is measured and not the loading of tiles. Random non-zeros at the
densities of Table III, one seed. The ideal pipeline has queues of the same depth, but a broadcast that reaches all PEs
at once and knows at once when a queue is full.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace

import numpy as np
from eie.config import ArrayConfig
from eie.paper import BENCHMARKS, CLOCK_MHZ
from eie.tiling import tile_layer
from eie.timing import compute_timing

DEEP = {"entries": 65536, "pointers": 65536, "rows": 256, "activations": 65536}
DEPTHS = (2, 4, 8, 16)


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    machines = {
        "paper": replace(ArrayConfig.paper(), **DEEP),
        "default": replace(ArrayConfig(), **DEEP),
    }
    results = []
    for benchmark in BENCHMARKS:
        layer, activations = benchmark.random_layer(arguments.seed)
        useful = int(np.diff(layer.column_starts)[activations != 0].sum())
        result: dict = {"name": benchmark.name, "paper_us": benchmark.actual_us, "useful": useful}
        for name, config in machines.items():
            cycles, seconds, _ = measure(layer, activations, config)
            result[name] = {
                "cycles": cycles,
                "microseconds": cycles / CLOCK_MHZ,
                "utilisation": useful / (config.num_pes * cycles),
                "model_seconds": seconds,
            }
        result["over_ideal"] = {}
        for depth in DEPTHS:
            cycles, _, ideal = measure(layer, activations, replace(machines["default"], queue_depth=depth))
            result["over_ideal"][depth] = cycles / ideal - 1
        results.append(result)
    print(json.dumps(results, indent=2) if arguments.json else table(results, machines))


def measure(layer, activations, config) -> tuple[int, float, int]:
    """Return the cycles of a layer, the seconds of the model, and the cycles of the ideal pipeline."""
    cycles = ideal = 0
    seconds = 0.0
    for row_tile in tile_layer(layer, config):
        for tile in row_tile.tiles:
            lengths = np.diff(tile.starts, axis=1).T.astype(np.int32)
            columns = np.zeros(len(lengths), np.int16)
            part = activations[tile.first_group * config.lanes :][: len(columns)]
            columns[: len(part)] = part
            start = time.perf_counter()
            cycles += compute_timing(columns, lengths, 0, config).cycles
            seconds += time.perf_counter() - start
            ideal += ideal_cycles(lengths[columns != 0], config)
    return cycles, seconds, ideal


def ideal_cycles(lengths, config) -> int:
    """Return the cycles of a pipeline without latencies: (broadcasts, N) entries -> time of the last entry."""
    broadcasts, num_pes = lengths.shape
    popped = np.zeros((num_pes, broadcasts + config.queue_depth), np.int64)
    waiting = np.full(num_pes, config.queue_depth)
    free = np.zeros(num_pes, np.int64)
    everyone = np.arange(num_pes)
    now = 0
    for row in lengths:
        # The column that has to leave a queue before another one fits.
        now = max(now + 1, int(popped[everyone, waiting - config.queue_depth].max()))
        pes = np.flatnonzero(row) if config.skip_empty else everyone
        begin = np.maximum(now + 1, free[pes])
        popped[pes, waiting[pes]] = begin
        waiting[pes] += 1
        free[pes] = begin + np.maximum(row[pes], 1)
    return int(free.max())


def table(results: list[dict], machines: dict[str, ArrayConfig]) -> str:
    """Return the results as text."""
    head = f"{'layer':<9}{'paper us':>9}" + "".join(f"{m + ' us':>12}{'useful':>8}" for m in machines)
    lines = [head + "   over ideal at queue depth " + " ".join(f"{d:>6}" for d in DEPTHS)]
    for r in results:
        line = f"{r['name']:<9}{r['paper_us']:>9.1f}"
        line += "".join(f"{r[m]['microseconds']:>12.2f}{r[m]['utilisation']:>8.3f}" for m in machines)
        lines.append(line + " " * 29 + " ".join(f"{r['over_ideal'][d]:>+6.1%}" for d in DEPTHS))
    means = {m: float(np.exp(np.mean([np.log(r[m]["utilisation"]) for r in results]))) for m in machines}
    lines.append(f"{'geometric mean':<18}" + "".join(f"{'':>12}{means[m]:>8.3f}" for m in machines))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
