"""Compression of a float network: pruning, weight sharing, fixed point (paper, section II; Han et al., ICLR 2016)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike

from eie.arguments import require_type
from eie.compression.allocation import Density, is_number
from eie.compression.calibration import calibration_inputs, read_calibration
from eie.compression.chains import ChainJob
from eie.compression.channel_units import in_channel_units
from eie.compression.graphs import GraphJob
from eie.compression.layers import plain_density
from eie.compression.recipe import DEFAULT_DENSITY, Recipe
from eie.compression.recurrent import alone, one_node, sequences_for
from eie.compression.report import CompressionReport
from eie.compression.samples import calibration_samples
from eie.compression.streamed import Stream
from eie.compression.target import largest_density, smallest_density
from eie.compression.terms import Terms
from eie.compression.warning import accuracy_warnings
from eie.contract.config import ArrayConfig
from eie.errors import AccuracyWarning, NetworkError
from eie.model_file.container import file_size
from eie.network.graph import Graph
from eie.network.graph_model import GraphModel
from eie.network.limits import fitting_name
from eie.network.model import Dense, Model
from eie.network.recurrent import GRU, LSTM
from eie.network.sources import read_any

STAGES = ("prune", "share", "scale", "measure")
"""Stages of a layer in the order in which `progress` hears of them; before them all, "allocate" where losses decide;
"refit" behind them, of the last gate of a recurrent layer for all of its gates, or of the last layer for all."""


@overload
def compress(network: Sequence[Dense] | Dense, *arguments: Any, **options: Any) -> Model: ...


@overload
def compress(network: Any, *arguments: Any, **options: Any) -> Any: ...


def compress(
    network: Any,
    density: Density = DEFAULT_DENSITY,
    calibration: Any = None,
    *,
    max_loss: float | None = None,
    target_sqnr: float | None = None,
    target_size: int | None = None,
    outputs: Collection[str] | None = None,
    inputs: Mapping[str, ArrayLike] | None = None,
    states: Mapping[str, str] | None = None,
    method: str | None = None,
    allocation: str | None = None,
    effort: str = "auto",
    sharing: str = "kmeans",
    terms: Terms = 1,
    row_scales: bool | None = None,
    refit: bool | str | None = None,
    shared_gates: bool = False,
    headroom: float = 2.0,
    hidden_activation: str | None = "relu",
    last_activation: str | None = None,
    layers: Sequence[str] | None = None,
    config: ArrayConfig | None = None,
    name: str | None = None,
    progress: Callable[[int, str], None] | None = None,
) -> Any:
    """Compress a network: fully connected layers, or a graph whose linear maps become layers.

    Parameters
    ----------
    network : sequence of Dense, Dense, LSTM, GRU, path of a .npz, .safetensors, .onnx or .net file, or a graph
        See `eie.network.sources.read_any` for what a file may hold and what else may be given.
    density : float, sequence of float or None, mapping of layer names to float or None, or None
        Weights to keep over all weights, above 0 and at most 1, for the network or for each layer. None keeps the
        network's own zeros: for a network that is already pruned, or pruned and shared.
    calibration : array_like, shape (B, C), float; path; or iterable of batches; optional
        Typical inputs, without labels; a thousand or two for a network of some hundred inputs. A path is that of a .npy
        or .npz file or of a folder of .npy files; of an iterable of batches, such as a torch DataLoader, 4,096 inputs
        are taken (fewer of large ones), and of batches that are pairs the first part. Without them, 64 vectors
        of independent standard normal values stand in for the ranges of the activations, which suits inputs of about
        that size only, and there is no compensation. A graph takes its own shape; several inputs in a dict by
        name, or a tuple. A recurrent layer takes sequences, shape (T, C) or (B, T, C).
    max_loss : float, optional
        Instead of a density: keep as few weights as leave the outputs' squared error below this share of their power.
    target_sqnr : float, optional
        The same in dB: a loss of 0.01 is an SQNR of 20 dB.
    target_size : int, optional
        Instead of a density: keep as many weights as a model file of so many bytes holds.
    outputs : collection of str, optional
        Tensors at which a graph is to end.
    inputs : mapping of str to array_like, optional
        Inputs of a graph that are to be constant from now on.
    states : mapping of str to str, optional
        Inputs of a graph that take what an output gave for the piece before, as of `Accelerator.stream`. The
        calibration then is sequences of pieces, each input's shape behind a first axis of time, without the states.
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
    terms : {1, 2, "loss"}, sequence of int, or mapping of layer names to int
        2: a layer's weights are sums of two sets of 15 shared values (`eie.Term`), 255 in all, for up to twice the
        work; a layer that 15 values serve has one all the same. "loss": 2 for those layers whose sharing costs most, as
        many as leave at most twice the loss that 2 everywhere would.
    row_scales : bool, optional
        True: each row multiplies the shared values by a scale of its own, which lets them serve rows of all sizes; a
        layer that 15 values serve has none all the same. It takes compensation, and 4 cycles more a layer, but in a
        batch keeps the next inference's inputs from loading meanwhile. None: in layers of which that saves 1.5 dB.
    refit : bool or "whole", optional
        Of recurrent layers on the array: whether their weights, once chosen, are refitted through time, so that the
        states of whole sequences stay those of the given network; see `eie.compression.refit`. What does not help on
        every eighth sequence, which is kept back, is not taken. It takes a layer some minutes at most, by `effort`.
        None: with compensation, but not in search of a target. "whole": then all layers are refitted together, so
        that the network's outputs stay, by gradients that go back through it (extra "train": PyTorch); see
        `eie.compression.whole`. It takes many inputs, hundreds at least, some minutes to an hour, and what does not
        help on those that are kept back is not taken either.
    shared_gates : bool
        Gates of recurrent layers on the array that read the same, all four of an LSTM and two of a GRU, share their
        values. The array multiplies them together then: what is broadcast serves all of them, and they have one
        pointer a column in place of four, which is what decides whether a large layer stays on the array.
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
    Model, or GraphModel if the network is more than a chain of fully connected layers, RecurrentModel of an LSTM or GRU
        ``metadata["compression"]`` holds the recipe and the figures of every layer; see
        `eie.compression.report.CompressionReport`.

    Warns
    -----
    AccuracyWarning
        If the model no longer computes what the network did (an output SQNR below 10 dB), with the cause; or if
        a layer whose density is None has more distinct weights than its codebooks hold, with what that costs.

    Raises
    ------
    NetworkError
        If the network, the calibration or a parameter cannot be used.
    LayerError
        If no fixed-point scales serve a layer.
    MissingExtraError
        If k-means or the file's format needs a package that is not installed.
    """
    if config is not None:
        require_type(config, ArrayConfig, "config", "an eie.ArrayConfig", NetworkError)
    if progress is not None:
        require_type(progress, Callable, "progress", "a function", NetworkError)  # type: ignore[arg-type]
    calibration = read_calibration(calibration)
    recurrent = network if isinstance(network, (LSTM, GRU)) else None
    if recurrent is not None:
        network, name = one_node(recurrent), name or recurrent.name or None
    found = read_any(
        network,
        hidden_activation,
        last_activation,
        layers,
        outputs=outputs,
        inputs=inputs,
        example=calibration if states is None else None,
    )
    if states is not None:
        if not isinstance(found, Graph):
            raise NetworkError("network is a chain of layers; it must be a graph where states are named")
        calibration = Stream(found, calibration, states)
    if name is None:
        name = fitting_name(Path(network).stem) if isinstance(network, (str, Path)) else "model"
    targets = _targets(density, max_loss=max_loss, target_sqnr=target_sqnr, target_size=target_size)
    recipe = Recipe.of(
        density,
        calibration is not None,
        method,
        allocation,
        effort,
        sharing,
        terms,
        headroom,
        row_scales,
        False if targets and refit is None else refit,
        shared_gates,
    )
    typical = calibration if recurrent is None else sequences_for(recurrent, calibration)
    config, tell = config or ArrayConfig(), progress or (lambda layer, stage: None)
    job: ChainJob | GraphJob
    if isinstance(found, Graph):
        samples = typical.samples if isinstance(typical, Stream) else calibration_samples(found, typical)
        if recurrent is None:  # of a layer alone, no graph would be left
            found = in_channel_units(found, samples)
        job = GraphJob(found, samples, typical if isinstance(typical, Stream) else None, recipe, config, tell)
    else:
        floats = _named(found)
        job = ChainJob(floats, recipe, calibration_inputs(typical, floats[0].weight.shape[1]), config, tell)
    about = {
        "density": None if targets else plain_density(density),
        **targets,
        **asdict(recipe),
        "calibration": _about_calibration(job, calibration is not None),
        "array": job.config.to_dict(),
    }

    def attempt(share: Density) -> tuple[Model | GraphModel, CompressionReport]:
        made, report = job.run(job.counts(share, least=1 if targets else 0), name, share is None)
        return replace(made, metadata={"compression": {**about, **report.to_dict()}}), report

    if max_loss is not None:
        target_sqnr = -10 * np.log10(max_loss)
    if target_sqnr is not None:
        model, report = smallest_density(attempt, lambda tried: tried[1].output_sqnr_db, target_sqnr)
    elif target_size is not None:
        model, report = largest_density(attempt, lambda tried: file_size(tried[0]), target_size)
    else:
        model, report = attempt(density)
    floats = job.layers if isinstance(job, ChainJob) else []
    vectors = job.vectors if isinstance(job, GraphJob) else {}
    for text in accuracy_warnings(floats, report, job.shared_anew, calibration is not None, vectors):
        warnings.warn(text, AccuracyWarning, stacklevel=2)
    return model if recurrent is None else alone(model)


def _about_calibration(job: ChainJob | GraphJob, given: bool) -> dict[str, Any]:
    about: dict[str, Any] = {"samples": job.samples, "source": "given" if given else "standard normal"}
    if isinstance(job, ChainJob):
        about |= {"measured": len(job.measured), "held_out": len(job.fitted) < job.samples}
    return about


def _targets(density: Density, **given: float | None) -> dict[str, float]:
    """Return the target that takes the place of a density, or none, or raise `NetworkError` if there are two."""
    found = {what: value for what, value in given.items() if value is not None}
    if len(found) > 1 or (found and (not is_number(density) or density != DEFAULT_DENSITY)):
        raise NetworkError(f"give one of density, {', '.join(given)}: each says how much to keep")
    for what, value in found.items():
        if not is_number(value) or not 0 < value < np.inf:
            raise NetworkError(f"{what} is {value!r}; it must be a number above 0")
    return found


def _named(layers: Sequence[Dense]) -> list[Dense]:
    """Give layers without a name one."""
    return [
        layer if layer.name else Dense(layer.weight, layer.bias, layer.activation, f"layer{i}")
        for i, layer in enumerate(layers)
    ]
