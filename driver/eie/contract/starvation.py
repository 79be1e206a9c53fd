"""Why PEs starve, derived from the counters of `eie.contract.registers`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Starvation:
    """Why PEs had no entry to work on while a COMPUTE was in progress, in cycles.

    A PE's four reasons add up to its counter `starved`. Summed over several layers, the busiest PE is that of the sum.

    Parameters
    ----------
    start : int
        No activation had arrived yet. Larger batches and layers have less of it: COMPUTEs then overlap.
    drain : int
        The last sums settled, and nothing else had started. As above.
    broadcast : int
        The PE with most entries waited for the next activation with an entry for it, or gave way to a STORE. Fewer PEs
        would be as fast, or inputs of fewer zeros would.
    imbalance : ndarray, shape (N,), int64
        Of each PE, by how much it has fewer entries than the one that has most: rows could be shared out better.
    """

    start: int
    drain: int
    broadcast: int
    imbalance: NDArray[np.int64]

    @classmethod
    def of(cls, cycles: int, start: int, drain: int, entries: NDArray[np.int64]) -> Starvation:
        """Derive it from counters; `entries` are work and padding of each PE, shape (N,)."""
        busiest = int(entries.max())
        return cls(start, drain, cycles - start - drain - busiest, busiest - entries)

    def shares(self, cycles: int) -> dict[str, float]:
        """Return the reasons as shares of the PEs' cycles, the mean over the PEs; of no cycles all are 0."""
        reasons = {name: float(np.mean(count)) for name, count in vars(self).items()}
        return {name: count / cycles if cycles else 0.0 for name, count in reasons.items()}


def starvation_text(shares: Mapping[str, float]) -> str:
    """Return the shares of `Starvation` in one line."""
    reasons = ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
    return f"PEs starve {sum(shares.values()):.1%} of the cycles of COMPUTEs: {reasons}"
