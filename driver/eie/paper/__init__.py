"""The evaluation of the paper (Han et al., ISCA 2016): its benchmarks, its figures and tables, and ours beside them.

`evaluation.evaluate` measures, `report.write` draws and writes; `scripts/paper.py` and ``eie paper`` do both.
"""

from eie.paper.benchmarks import BENCHMARKS, CLOCK_MHZ, Benchmark

__all__ = ["BENCHMARKS", "CLOCK_MHZ", "Benchmark"]
