"""What an exploration computes for each array: the cycle model over a fixed model and fixed activations.

`eie.cycles` gives the same numbers; here all arrays that differ only in timing share one packing, and what the layers
compute, which no array changes, is computed once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import eie
from eie import isa
from eie.config import ArrayConfig
from eie.errors import EieError
from eie.model import Layer, Model
from eie.packing import PackedModel, pack
from eie.reference import as_activations, reference_layer

TIMING_ONLY = ("queue_depth", "skip_empty")
"""Parameters that change no byte of a packed model."""


@dataclass(frozen=True)
class Workload:
    """A model and what each of its layers is given.

    Parameters
    ----------
    model : Model
    inputs : tuple of ndarray, int16, shape (B, C) of each layer
    digest : str
        Hash of both.
    """

    model: Model
    inputs: tuple[NDArray[np.int16], ...]
    digest: str

    @classmethod
    def of(cls, model: Model | Layer, activations: ArrayLike) -> Workload:
        """Return a model with its input, int16, shape (B, C) or (C,)."""
        model = Model([model], name=model.name or "layer") if isinstance(model, Layer) else model
        batch = np.asarray(activations)
        a = as_activations(batch[None] if batch.ndim == 1 else batch, model.columns)
        if not len(a):
            raise EieError("activations hold no input; at least one is needed")
        inputs = [a]
        for layer in model.layers[:-1]:
            inputs.append(reference_layer(layer, inputs[-1]))
        return cls(model, tuple(inputs), _digest(model, a))

    @property
    def inferences(self) -> int:
        """Inputs."""
        return len(self.inputs[0])

    @property
    def useful(self) -> int:
        """Products of a non-zero weight and a non-zero activation."""
        layers = zip(self.model.layers, self.inputs, strict=True)
        return sum(int(np.count_nonzero(a, axis=0) @ np.diff(layer.column_starts)) for layer, a in layers)


def packing_of(config: ArrayConfig) -> ArrayConfig:
    """Return the array that stands for all that pack a model in the same way."""
    default = ArrayConfig()
    return replace(config, **{name: getattr(default, name) for name in TIMING_ONLY})


def evaluate(
    workload: Workload, configs: Sequence[ArrayConfig], version: str | None = None
) -> list[dict[str, Any] | str]:
    """Return what a workload costs on arrays that pack it in the same way.

    Parameters
    ----------
    workload : Workload
    configs : sequence of ArrayConfig
        Equal but for `TIMING_ONLY`.
    version : str, optional
        `code_version` that the answer is asked of.

    Returns
    -------
    list of dict or str
        For each array the measured columns of `eie.exploration.results`; or why it cannot run the model.

    Raises
    ------
    EieError
        If this is another version of the package.
    """
    if version not in (None, code_version()):
        raise EieError(
            f"a worker has version {code_version()} of eie, the exploration {version}: install the same on both"
        )
    try:
        whole = pack(workload.model, configs[0])
        # As `eie.cycles` does, each layer alone; of a model of one layer that is the model.
        layers = workload.model.layers
        packed = [whole] if len(layers) == 1 else [pack(Model([layer]), configs[0]) for layer in layers]
        computes = [list(_computes(p, a)) for p, a in zip(packed, workload.inputs, strict=True)]
    except EieError as error:
        return [str(error)] * len(configs)
    return [_cost(workload, computes, whole, config) for config in configs]


@cache
def code_version() -> str:
    """Return the package's version with a hash of its modules, lest results of other code are taken for this one's."""
    sources = sorted(Path(eie.__file__).parent.glob("*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in [*sources, Path(__file__)]))
    return f"{eie.__version__}+{digest.hexdigest()[:8]}"


def _cost(
    workload: Workload, computes: list[list[_Compute]], whole: PackedModel, config: ArrayConfig
) -> dict[str, Any]:
    # Imported where it is used: it is slow to import where numba is installed.
    from eie.timing import compute_timing

    cycles = broadcasts = entries = blocked = 0
    for compute in (compute for layer in computes for compute in layer):
        for address, vector in zip(compute.addresses, compute.vectors, strict=True):
            timing = compute_timing(vector, compute.lengths, address, config)
            cycles += timing.cycles
            blocked += int(timing.blocked.sum())
        active = np.count_nonzero(compute.vectors, axis=0)
        broadcasts += int(active.sum())
        entries += int(active @ compute.lengths.sum(axis=1, dtype=np.int64))
    pe_cycles = config.num_pes * cycles
    return {
        "cycles": cycles,
        "stream_words": sum(segment.words(workload.inferences) for segment in whole.segments),
        "resident": whole.resident,
        "broadcasts": broadcasts,
        "useful": workload.useful,
        "padding": entries - workload.useful,
        "starved": pe_cycles - entries,
        "blocked": blocked,
        "utilisation": workload.useful / pe_cycles,
        "load_balance": entries / pe_cycles,
    }


@dataclass(frozen=True)
class _Compute:
    """A tile's COMPUTE for a batch: entries per column and PE, (columns, N), activations, (B, columns), and where in
    the activation memory each inference has them."""

    lengths: NDArray[np.int32]
    vectors: NDArray[np.int16]
    addresses: list[int]


def _computes(packed: PackedModel, activations: NDArray[np.int16]) -> Iterator[_Compute]:
    """Yield the COMPUTEs of a packed layer: which tile is its own, and the stream tells where its activations are."""
    config, (segment,) = packed.config, packed.segments
    tiles = [tile for row_tile in packed.row_tiles[0] for tile in row_tile.tiles]
    # A unit of the stream may hold two inferences, whose activations take turns between two places.
    addresses = np.array(_addresses(segment.unit, config)).reshape(segment.inferences, len(tiles))
    for number, tile in enumerate(tiles):
        first, count = tile.first_group * config.lanes, tile.groups * config.lanes
        part = activations[:, first : first + count]
        vectors = np.zeros((len(part), count), np.int16)
        vectors[:, : part.shape[1]] = part
        lengths = np.ascontiguousarray(np.diff(tile.starts, axis=1).T, np.int32)
        places = addresses[np.arange(len(part)) % segment.inferences, number]
        yield _Compute(lengths, vectors, places.tolist())


def _addresses(unit: NDArray[np.uint64], config: ArrayConfig) -> list[int]:
    """Return the activation address of every COMPUTE in a program."""
    addresses, position = [], 0
    while position < len(unit):
        header = int(unit[position])
        instruction = isa.BY_OPCODE[header & isa.OPCODE_MASK]
        values = instruction.decode(header)
        if instruction is isa.COMPUTE:
            addresses.append(values["address"])
        position += 1 + instruction.payload_words(config, values)
    return addresses


def _digest(model: Model, activations: NDArray[np.int16]) -> str:
    digest = hashlib.sha256()
    for layer in model.layers:
        digest.update(f"{layer.rows} {layer.columns} {layer.shift} {layer.relu};".encode())
        for array in (layer.column_starts, layer.row_indices, layer.codes, layer.codebook, layer.bias):
            digest.update(f"{array.dtype.str} {array.shape};".encode() + np.ascontiguousarray(array).tobytes())
    digest.update(f"{activations.shape};".encode() + np.ascontiguousarray(activations).tobytes())
    return digest.hexdigest()[:16]
