"""Compression of a float network: pruning, weight sharing, fixed point (paper, section II; Han et al., ICLR 2016)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eie.compression.forward import forward_integer, forward_pruned, forward_shared
from eie.compression.pruning import prune
from eie.compression.report import CompressionReport, LayerReport, layer_report, power_ratio_db, sqnr_db
from eie.compression.scaling import choose_scales, fraction_bits
from eie.compression.sharing import share
from eie.contract.config import ArrayConfig
from eie.contract.fixed_point import dequantise, quantise
from eie.errors import NetworkError
from eie.network.model import Dense, Layer, Model
from eie.network.readers import read_network

MEASURED_SAMPLES = 256
"""Calibration inputs, from the first, on which the errors of the report are measured; ranges come from all."""

_SYNTHETIC_SAMPLES = 64

STAGES = ("prune", "share", "scale", "measure")
"""Stages of a layer in the order in which `progress` hears of them."""


def compress(
    network: Sequence[Dense] | Dense | str | Path,
    density: float | Sequence[float | None] | None = 0.09,
    calibration: ArrayLike | None = None,
    *,
    scope: str = "layer",
    sharing: str = "kmeans",
    headroom: float = 2.0,
    hidden_activation: str | None = "relu",
    last_activation: str | None = None,
    config: ArrayConfig | None = None,
    name: str | None = None,
    progress: Callable[[int, str], None] | None = None,
) -> Model:
    """Compress a network of fully connected layers.

    Parameters
    ----------
    network : sequence of Dense, Dense, or path of a .npz, .safetensors or .onnx file
        See `eie.network.readers.read_network` for what a file may hold.
    density : float, sequence of float or None, or None
        Weights to keep over all weights, above 0 and at most 1, for all layers or for each; those of largest magnitude
        are kept. None keeps the network's own zeros: for a network that is already pruned, or pruned and shared.
    calibration : array_like, shape (B, C), float, optional
        Typical inputs, from which the fixed-point ranges of all activations are taken. Without them, 64 vectors of
        independent standard normal values stand in, which suits inputs of about that size only.
    scope : {"layer", "global"}
        Apply a density to every layer, or one threshold to all layers.
    sharing : {"kmeans", "linear"}
        How the 15 shared weights of a layer are found; see `eie.compression.sharing.share`.
    headroom : float
        Factor, at least 1, by which an activation may exceed the largest of the calibration without saturating. Each
        doubling costs 6 dB of some 75 dB, weight sharing alone leaves some 30; one saturated output costs far more.
    hidden_activation, last_activation : {"relu", None}
        Activations of a .npz or .safetensors network, which holds none.
    config : ArrayConfig, optional
        Array whose padding the report counts; the model itself does not depend on it.
    name : str, optional
        The model's name; by default the file's, or "model".
    progress : callable (layer index, stage), optional
        Called as each stage (one of `STAGES`) of a layer begins.

    Returns
    -------
    Model
        ``metadata["compression"]`` holds the recipe and the figures of every layer; see `CompressionReport`.

    Raises
    ------
    NetworkError
        If the network, the calibration or a parameter cannot be used.
    LayerError
        If no fixed-point scales serve a layer.
    MissingExtraError
        If k-means or the file's format needs a package that is not installed.
    """
    layers = read_network(network, hidden_activation, last_activation)
    inputs = _calibration_inputs(calibration, layers[0].weight.shape[1])
    if not 1 <= headroom < np.inf:
        raise NetworkError(f"headroom is {headroom!r}; it must be at least 1 and finite")
    tell = progress or (lambda layer, stage: None)
    names = [layer.name or f"layer{i}" for i, layer in enumerate(layers)]

    tell(0, "prune")
    masks = prune([layer.weight for layer in layers], density, scope, names)
    bits = fraction_bits(_peak(inputs) * headroom)
    measured = inputs[:MEASURED_SAMPLES]
    trace = _Trace(inputs, measured, quantise(measured, bits))
    compressed, rows = [], []
    for i, dense in enumerate(layers):
        if i:
            tell(i, "prune")
        layer, row = _compress_layer(
            dense, masks[i], names[i], trace, bits, sharing, headroom, config or ArrayConfig(), partial(tell, i)
        )
        masks[i] = np.zeros((0, 0), bool)
        bits = layer.output_fraction_bits
        compressed.append(layer)
        rows.append(row)

    recipe = {
        "density": _plain(density),
        "scope": scope,
        "sharing": sharing,
        "headroom": float(headroom),
        "calibration": {"samples": len(inputs), "source": "standard normal" if calibration is None else "given"},
        "array": (config or ArrayConfig()).to_dict(),
    }
    if name is None:
        name = Path(network).stem if isinstance(network, (str, Path)) else "model"
    return Model(compressed, name, {"compression": {**recipe, **CompressionReport(tuple(rows)).to_dict()}})


@dataclass
class _Trace:
    """Activations between layers: of the pruned float network for all calibration inputs, and for the measured ones
    also of the float network with shared weights and of the integer network."""

    pruned: NDArray[np.float32]
    shared: NDArray[np.float32]
    integer: NDArray[np.int16]


def _compress_layer(
    dense: Dense,
    mask: NDArray[np.bool_],
    name: str,
    trace: _Trace,
    input_fraction_bits: int,
    sharing: str,
    headroom: float,
    config: ArrayConfig,
    tell: Callable[[str], None],
) -> tuple[Layer, LayerReport]:
    """Compress one layer and move the trace behind it."""
    rows, columns = dense.weight.shape
    relu = dense.activation == "relu"
    bias = np.zeros(rows, np.float32) if dense.bias is None else dense.bias
    starts, row_indices, values = _by_column(dense.weight, mask)

    tell("share")
    centroids, codes = share(values, sharing)

    tell("scale")
    trace.pruned = forward_pruned(trace.pruned, dense.weight, mask, dense.bias, relu)
    peak = _peak(trace.pruned)
    if not np.isfinite(peak):
        raise NetworkError(f"layer {name!r}: the calibration inputs overflow float32 here; scale the network down")
    scales = choose_scales(centroids, codes, row_indices, bias, input_fraction_bits, peak * headroom, name)
    layer = Layer(
        rows=rows,
        columns=columns,
        column_starts=starts,
        row_indices=row_indices,
        codes=codes,
        codebook=scales.codebook(centroids),
        bias=scales.bias(bias),
        shift=scales.shift,
        relu=relu,
        input_fraction_bits=scales.input_fraction_bits,
        output_fraction_bits=scales.output_fraction_bits,
        weight_fraction_bits=scales.weight_fraction_bits,
        name=name,
    )

    tell("measure")
    dense_codes = layer.dense_codes()
    trace.shared = forward_shared(trace.shared, dense_codes, centroids, dense.bias, relu)
    trace.integer = forward_integer(trace.integer, dense_codes, layer)
    outputs = dequantise(trace.integer, layer.output_fraction_bits)
    return layer, layer_report(
        layer,
        config,
        weight_sqnr_db=_weight_sqnr(values, layer),
        output_sqnr_db=sqnr_db(trace.pruned[: len(outputs)], outputs),
        fixed_point_sqnr_db=sqnr_db(trace.shared, outputs),
    )


def _by_column(
    weight: NDArray[np.float32], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.int32], NDArray[np.float32]]:
    """Return column starts, row indices and values of the kept weights, column by column."""
    rows, columns = weight.shape
    flat = np.flatnonzero(np.ascontiguousarray(mask.T))
    starts = np.zeros(columns + 1, np.intp)
    np.cumsum(np.count_nonzero(mask, axis=0), out=starts[1:])
    column, row = np.divmod(flat, rows)
    return starts, row.astype(np.int32), weight[row, column]


def _weight_sqnr(values: NDArray[np.float32], layer: Layer) -> float | None:
    """Absent weights are exact, so only the stored ones count."""
    stored = np.ldexp(layer.codebook.astype(np.float32), -layer.weight_fraction_bits)[layer.codes]
    error = values - stored
    power, noise = (float(np.dot(v, v)) for v in (values, error))
    return power_ratio_db(power, noise)


def _calibration_inputs(calibration: ArrayLike | None, columns: int) -> NDArray[np.float32]:
    if calibration is None:
        return np.random.default_rng(0).standard_normal((_SYNTHETIC_SAMPLES, columns), dtype=np.float32)
    try:
        inputs = np.asarray(calibration)
    except ValueError as error:
        raise NetworkError(f"calibration is no array: {error}") from error
    if inputs.dtype.kind not in "fiub":
        raise NetworkError(f"calibration is {inputs.dtype}; it must hold real numbers")
    if inputs.ndim != 2 or inputs.shape[1] != columns or len(inputs) == 0:
        raise NetworkError(f"calibration has shape {inputs.shape}; the network needs (at least 1, {columns})")
    with np.errstate(over="ignore"):
        inputs = inputs.astype(np.float32, copy=False)
    if not np.isfinite(inputs).all():
        raise NetworkError("calibration holds NaN, infinity or values beyond float32")
    return inputs


def _plain(density: float | Sequence[float | None] | None) -> float | list[float | None] | None:
    """Return a density without numpy's types, for JSON."""
    if density is None or isinstance(density, (Sequence, np.ndarray)):
        return None if density is None else [None if share is None else float(share) for share in density]
    return float(density)


def _peak(activations: NDArray[np.float32]) -> float:
    return max(float(activations.max()), -float(activations.min()))
