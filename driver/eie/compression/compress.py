"""Compression of a float network: pruning, weight sharing, fixed point (paper, section II; Han et al., ICLR 2016)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eie.compression.allocation import ALLOCATIONS, Density, checked, given_counts, is_number, loss_curves, spread
from eie.compression.calibration import calibration_inputs, split
from eie.compression.compensation import EFFORTS, Compensated, compensate
from eie.compression.least_squares import least_squares
from eie.compression.pruning import keep_count
from eie.compression.report import CompressionReport, LayerReport, layer_report, sqnr_db
from eie.compression.scaling import activation_fraction_bits, choose_scales
from eie.compression.sensitivity import importances
from eie.compression.sharing import SHARED_VALUES, share
from eie.compression.trace import Trace
from eie.compression.warning import accuracy_warnings
from eie.contract.config import ArrayConfig
from eie.errors import AccuracyWarning, NetworkError
from eie.network.limits import fitting_name
from eie.network.model import Dense, Layer, Model
from eie.network.readers import read_network

METHODS = ("compensated", "magnitude")

STAGES = ("prune", "share", "scale", "measure")
"""Stages of a layer in the order in which `progress` hears of them; before them all, "allocate" where losses decide."""


def compress(
    network: Sequence[Dense] | Dense | str | Path,
    density: Density = 0.09,
    calibration: ArrayLike | None = None,
    *,
    method: str | None = None,
    allocation: str | None = None,
    effort: str = "auto",
    sharing: str = "kmeans",
    headroom: float = 2.0,
    hidden_activation: str | None = "relu",
    last_activation: str | None = None,
    layers: Sequence[str] | None = None,
    config: ArrayConfig | None = None,
    name: str | None = None,
    progress: Callable[[int, str], None] | None = None,
) -> Model:
    """Compress a network of fully connected layers.

    Parameters
    ----------
    network : sequence of Dense, Dense, or path of a .npz, .safetensors or .onnx file
        See `eie.network.readers.read_network` for what a file may hold.
    density : float, sequence of float or None, mapping of layer names to float or None, or None
        Weights to keep over all weights, above 0 and at most 1, for the network or for each layer. None keeps the
        network's own zeros: for a network that is already pruned, or pruned and shared.
    calibration : array_like, shape (B, C), float, optional
        Typical inputs, without labels; a thousand or two for a network of some hundred inputs. Without them, 64 vectors
        of independent standard normal values stand in for the ranges of the activations, which suits inputs of about
        that size only, and there is no compensation.
    method : {"compensated", "magnitude"}, optional
        "compensated", the default with a calibration: weights that cost least go, and the weights that stay, the shared
        values and the biases make up for them, so that each layer, on what the compressed layers before it
        give, puts out what the given network's does. A layer of which nothing goes and that has at most 15 distinct
        values stays as it is. "magnitude": the smallest weights go, the rest stays as it is.
    allocation : {"loss", "uniform", "magnitude"}, optional
        How a single density is spread over the layers: by what it costs at the network's output (the default with
        compensation), alike, or by one threshold of magnitude.
    effort : {"auto", "fast", "thorough"}
        Of compensation: exact for every row, one inverse for all rows of a layer, or the former where a layer is small.
    sharing : {"kmeans", "linear"}
        How the 15 shared weights of a layer are found; see `eie.compression.sharing.share`.
    headroom : float
        Factor, at least 1, by which an activation may exceed the largest of the calibration without saturating. Each
        doubling costs 6 dB of some 75 dB, weight sharing alone leaves some 30; one saturated output costs far more.
    hidden_activation, last_activation : {"relu", None}
        Activations of a .npz or .safetensors network, which holds none.
    layers : sequence of str, optional
        Names of all layers of such a file in the order of computing, where the file does not settle it.
    config : ArrayConfig, optional
        Array whose padding the report counts; the model itself does not depend on it.
    name : str, optional
        The model's name; by default the file's, or "model".
    progress : callable (layer index, stage), optional
        Called as each stage (one of `STAGES`) of a layer begins.

    Returns
    -------
    Model
        ``metadata["compression"]`` holds the recipe and the figures of every layer; see
        `eie.compression.report.CompressionReport`.

    Warns
    -----
    AccuracyWarning
        If the model no longer computes what the network did (an output SQNR below 10 dB), with the cause; or if
        density None is to keep the values of a quantised layer, and they are more than a codebook holds.

    Raises
    ------
    NetworkError
        If the network, the calibration or a parameter cannot be used.
    LayerError
        If no fixed-point scales serve a layer.
    MissingExtraError
        If k-means or the file's format needs a package that is not installed.
    """
    floats = _named(read_network(network, hidden_activation, last_activation, layers))
    recipe = Recipe.of(density, calibration is not None, method, allocation, effort, sharing, headroom)
    inputs = calibration_inputs(calibration, floats[0].weight.shape[1])
    job = _Job(floats, recipe, inputs, config or ArrayConfig(), progress or (lambda layer, stage: None))
    counts = job.counts(density)
    compressed, report = job.run(counts)
    for text in accuracy_warnings(floats, report, [count is None for count in counts], calibration is not None):
        warnings.warn(text, AccuracyWarning, stacklevel=2)
    if name is None:
        name = fitting_name(Path(network).stem) if isinstance(network, (str, Path)) else "model"
    about = {
        "density": _plain(density),
        **asdict(recipe),
        "calibration": {
            "samples": len(inputs),
            "source": "given" if calibration is not None else "standard normal",
            "measured": len(job.measured),
            "held_out": len(job.fitted) < len(inputs),
        },
        "array": job.config.to_dict(),
    }
    return Model(compressed, name, {"compression": {**about, **report.to_dict()}})


@dataclass(frozen=True)
class Recipe:
    """How a network is compressed, apart from how much; see `compress`."""

    method: str
    allocation: str
    effort: str
    sharing: str
    headroom: float

    @classmethod
    def of(
        cls,
        density: Density,
        calibrated: bool,
        method: str | None,
        allocation: str | None,
        effort: str,
        sharing: str,
        headroom: float,
    ) -> Recipe:
        """Check what a caller asks for, and fill in the defaults."""
        if not is_number(headroom) or not 1 <= headroom < np.inf:
            raise NetworkError(f"headroom is {headroom!r}; it must be at least 1 and finite")
        method = method or ("compensated" if calibrated else "magnitude")
        if allocation is None:
            allocation = "loss" if method == "compensated" and is_number(density) else "uniform"
        for what, value, known in (
            ("method", method, METHODS),
            ("allocation", allocation, ALLOCATIONS),
            ("effort", effort, EFFORTS),
        ):
            if value not in known:
                raise NetworkError(f"{what} {value!r} is not known; {', '.join(map(repr, known))} are")
        if method == "compensated" and not calibrated:
            raise NetworkError('method="compensated" needs calibration inputs: what is pruned is made up for on them')
        if allocation == "loss" and (method != "compensated" or not is_number(density)):
            raise NetworkError('allocation="loss" takes one density for the network, and method="compensated"')
        return cls(method, allocation, effort, sharing, float(headroom))


class _Job:
    """A network and all that its compression needs, whatever number of weights its layers keep."""

    def __init__(
        self,
        layers: list[Dense],
        recipe: Recipe,
        inputs: NDArray[np.float32],
        config: ArrayConfig,
        tell: Callable[[int, str], None],
    ) -> None:
        self.layers, self.recipe, self.inputs, self.config, self.tell = layers, recipe, inputs, config, tell
        self.compensated = recipe.method == "compensated"
        self.fitted, self.measured = split(len(inputs), self.compensated)
        self.importances = importances(layers, inputs[self.fitted]) if self.compensated else []

    def counts(self, density: Density) -> list[int | None]:
        """Return how many weights each layer keeps."""
        weights, names = [layer.weight for layer in self.layers], [layer.name for layer in self.layers]
        if self.recipe.allocation != "loss":
            return given_counts(weights, density, self.recipe.allocation, names)
        share = checked(density, "the network")
        if len(weights) == 1 or share == 1:
            return given_counts(weights, share, "uniform", names)
        curves = loss_curves(
            self.layers, self.inputs[self.fitted], self.importances, share, self.recipe.effort, self.tell
        )
        return list(spread(curves, round(share * sum(weight.size for weight in weights))))

    def run(self, counts: list[int | None]) -> tuple[list[Layer], CompressionReport]:
        """Compress the layers, one after another."""
        bits = activation_fraction_bits(_peak(self.inputs) * self.recipe.headroom)
        trace = Trace.start(self.inputs, bits, self.measured)
        compressed, rows = [], []
        for i, dense in enumerate(self.layers):
            tell = partial(self.tell, i)
            chosen = self._choose(i, counts[i], trace, tell)
            layer, row = self._finish(dense, chosen, trace, tell)
            compressed.append(layer)
            rows.append(row)
        return compressed, CompressionReport(tuple(rows))

    def _choose(self, index: int, count: int | None, trace: Trace, tell: Callable[[str], None]) -> Compensated:
        """Choose a layer's weights, shared values and biases."""
        tell("prune")
        dense = self.layers[index]
        if not self.compensated or _is_exact(dense.weight, count):
            return _by_magnitude(dense, count, self.recipe.sharing, tell)
        given, inputs = trace.given[self.fitted], trace.inputs()
        inputs = given if inputs is trace.given else inputs[self.fitted]
        task = least_squares(dense.weight, dense.bias, given, inputs, self.importances[index])
        return compensate(task, dense.weight, count, self.recipe.sharing, self.recipe.effort, tell)

    def _finish(
        self, dense: Dense, chosen: Compensated, trace: Trace, tell: Callable[[str], None]
    ) -> tuple[Layer, LayerReport]:
        """Give a layer its fixed point, and move the trace behind it."""
        tell("scale")
        trace.prune(dense, chosen)
        peak = _peak(trace.pruned)
        if not np.isfinite(peak):
            raise NetworkError(
                f"layer {dense.name!r}: the calibration inputs overflow float32 here; scale the network down"
            )
        row_indices, codes = _by_column(chosen.codes)
        scales = choose_scales(
            chosen.centroids,
            codes,
            row_indices,
            chosen.shared_bias,
            trace.fraction_bits,
            peak * self.recipe.headroom,
            dense.name,
        )
        layer = Layer.from_dense_codes(
            chosen.codes,
            scales.codebook(chosen.centroids),
            scales.bias(chosen.shared_bias),
            scales.shift,
            dense.activation == "relu",
            input_fraction_bits=scales.input_fraction_bits,
            output_fraction_bits=scales.output_fraction_bits,
            weight_fraction_bits=scales.weight_fraction_bits,
            name=dense.name,
        )
        tell("measure")
        ratios = {"weight_sqnr_db": _weight_sqnr(chosen, layer), **trace.finish(layer, chosen)}
        return layer, layer_report(layer, self.config, **ratios)


def _named(layers: Sequence[Dense]) -> list[Dense]:
    """Give layers without a name one."""
    return [
        layer if layer.name else Dense(layer.weight, layer.bias, layer.activation, f"layer{i}")
        for i, layer in enumerate(layers)
    ]


def _is_exact(weight: NDArray[np.float32], count: int | None) -> bool:
    """Tell whether a layer loses nothing: all its weights stay, and a codebook holds their values."""
    kept = weight[weight != 0]
    return (count is None or count >= len(kept)) and len(np.unique(kept)) <= SHARED_VALUES


def _by_magnitude(dense: Dense, count: int | None, sharing: str, tell: Callable[[str], None]) -> Compensated:
    """Keep the largest weights as they are, and share values among them."""
    mask = dense.weight != 0 if count is None else keep_count([dense.weight], count)[0]
    tell("share")
    codes = np.zeros(mask.shape, np.uint8)
    centroids, codes[mask] = share(dense.weight[mask], sharing)
    bias = np.zeros(len(mask), np.float32) if dense.bias is None else dense.bias
    return Compensated(dense.weight, bias, mask, codes, centroids, bias)


def _by_column(codes: NDArray[np.uint8]) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Return rows and codes of the stored weights."""
    rows, columns = np.nonzero(codes)
    return rows.astype(np.int32), codes[rows, columns]


def _weight_sqnr(chosen: Compensated, layer: Layer) -> float | None:
    """Absent weights are exact, so only the stored ones count."""
    values = chosen.weight[chosen.mask]
    stored = np.ldexp(layer.codebook.astype(np.float64), -layer.weight_fraction_bits)[chosen.codes[chosen.mask]]
    return sqnr_db(values, stored)


def _plain(density: Density) -> Any:
    """Return a density without numpy's types, for JSON."""
    if isinstance(density, Mapping):
        return {name: _plain(share) for name, share in density.items()}
    if density is None or isinstance(density, (Sequence, np.ndarray)):
        return None if density is None else [_plain(share) for share in density]
    return float(density)


def _peak(activations: NDArray[np.float32]) -> float:
    return max(float(activations.max()), -float(activations.min()))
