"""How far the array is from an ideal pipeline, on the paper's nine layers at 64 PEs, for several queue depths.

By the cycle model, which equals the hardware's counters cycle for cycle (tests/hw/test_cycle_model.py). Memories are as
deep as a layer needs, so that it is the array that is measured and not the loading of tiles. Random non-zeros at the
densities of Table III, one seed. The ideal pipeline has queues of the same depth, but a broadcast that reaches all PEs
at once and knows at once when a queue is full. What the utilisation is, and why: docs/paper.md.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

import numpy as np

from eie import Model
from eie.contract.config import ArrayConfig
from eie.cycle_model.layers import cycles
from eie.paper import BENCHMARKS
from eie.program.packing import pack

DEEP = {"entries": 65536, "pointers": 65536, "activations": 65536}
DEPTHS = (2, 4, 8, 16, 32)


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    results = {benchmark.name: measure(*benchmark.random_layer(arguments.seed)) for benchmark in BENCHMARKS}
    print(json.dumps(results, indent=2) if arguments.json else table(results))


def measure(layer, activations) -> list[dict]:
    """Return the cycles of a layer, and those of the ideal pipeline, for each queue depth."""
    packed = pack(Model([layer]), replace(ArrayConfig(), **DEEP))
    results = []
    for depth in DEPTHS:
        config = replace(packed.config, queue_depth=depth)
        (cost,) = cycles(packed, activations, config)
        ideal = 0
        for row_tile in packed.row_tiles[0]:
            for tile in row_tile.tiles:
                columns = activations[tile.first_group * config.lanes :][: len(tile.lengths)]
                ideal += ideal_cycles(tile.lengths[: len(columns)][columns != 0], config)
        results.append({"queue_depth": depth, "cycles": cost.cycles, "ideal": ideal, "utilisation": cost.utilisation})
    return results


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


def table(results: dict[str, list[dict]]) -> str:
    """Return the results as text: cycles over the ideal pipeline's, and useful MACs per PE and cycle."""
    lines = [f"{'queue depth':<12}" + "".join(f"{depth:>16}" for depth in DEPTHS)]
    for name, row in results.items():
        cells = (f"{r['cycles'] / r['ideal'] - 1:>+9.1%}{r['utilisation']:>7.3f}" for r in row)
        lines.append(f"{name:<12}" + "".join(cells))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
