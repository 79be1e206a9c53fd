"""How long a network takes on an array, and why: the cycle model over whole programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eie.accelerator import Accelerator
from eie.config import ArrayConfig
from eie.emulation import EmulatedDevice
from eie.model import Layer, Model
from eie.reference import as_activations


@dataclass(frozen=True)
class LayerCycles:
    """What a layer costs, summed over a batch.

    Parameters
    ----------
    name : str
    cycles : int
        Clock cycles in which its COMPUTEs are in progress.
    broadcasts : int
        Non-zero activations sent to the PEs; a layer of several row tiles sends each several times.
    useful : int
        Products of a non-zero weight and a non-zero activation.
    work, padding, starved, blocked : ndarray, shape (N,), int64
        Per PE, as the hardware counts them (`eie.registers`).
    """

    name: str
    cycles: int
    broadcasts: int
    useful: int
    work: NDArray[np.int64]
    padding: NDArray[np.int64]
    starved: NDArray[np.int64]
    blocked: NDArray[np.int64]

    @property
    def utilisation(self) -> float:
        """Useful multiply-accumulates over PEs times cycles."""
        return self.useful / (len(self.work) * self.cycles)

    @property
    def load_balance(self) -> float:
        """Entries, padding included, over PEs times cycles: theoretical over actual time (paper, section VI)."""
        return int(self.work.sum() + self.padding.sum()) / (len(self.work) * self.cycles)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-serialisable values."""
        values = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in asdict(self).items()}
        return values | {"utilisation": self.utilisation, "load_balance": self.load_balance}


def cycles(model: Model | Layer, activations: ArrayLike, config: ArrayConfig | None = None) -> tuple[LayerCycles, ...]:
    """Return what each layer costs on an array, cycle for cycle as its hardware counts.

    Parameters
    ----------
    model : Model or Layer
    activations : array_like, shape (B, C) or (C,), int16
        Input of the model.
    config : ArrayConfig, optional

    Returns
    -------
    tuple of LayerCycles
        Cycles of COMPUTEs, summed over the batch; loading that does not overlap with them is not in it.
    """
    model = Model([model]) if isinstance(model, Layer) else model
    batch = np.asarray(activations)
    a = as_activations(batch[None] if batch.ndim == 1 else batch, model.columns)
    device = EmulatedDevice(config, timing=True)
    accelerator = Accelerator(device)
    results = []
    for layer in model.layers:
        accelerator.clear_counters()
        outputs = accelerator.run_raw(a, model=Model([layer]))
        counters = accelerator.counters
        results.append(
            LayerCycles(
                name=layer.name,
                cycles=counters.cycles,
                broadcasts=counters.broadcasts,
                useful=int(np.count_nonzero(a, axis=0) @ np.diff(layer.column_starts)),
                work=counters.work,
                padding=counters.padding,
                starved=counters.starved,
                blocked=counters.blocked,
            )
        )
        a = outputs
    return tuple(results)
