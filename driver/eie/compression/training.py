"""Training of compressed networks, as in Deep Compression (Han et al., ICLR 2016): prune, retrain what is left, share
the weights, fine-tune the shared values. Needs PyTorch, the extra "train"; a CPU will do.

A network is a list of `eie.Dense` before and after every step, so steps may be mixed with others and saved between:

    network = train.initialise([784, 300, 100, 10])
    network = train.fit(network, data, train.Settings(epochs=10))
    network = train.prune_retrain(network, data, 0.05, train.Settings(epochs=40))
    network = train.share_finetune(network, data, train.Settings(epochs=10, learning_rate=1e-3))
    model = eie.compress(network, density=None, calibration=inputs)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.contract.config import CODEBOOK_SIZE
from eie.errors import MissingExtraError, NetworkError
from eie.network.model import Dense

try:
    import torch
    from torch.nn import functional
except ImportError as error:  # pragma: no cover - depends on the installation
    raise MissingExtraError("training needs PyTorch: pip install 'eie-pynq[train]'") from error

Arrays = tuple[NDArray[np.float32], NDArray[Any]]
Data = Callable[[int], Arrays]
"""The training data of an epoch, given its number: inputs, shape (B, C), and targets: either labels, shape (B,), or the
probabilities of every class, shape (B, classes), say those that a larger network gives (distillation)."""

Progress = Callable[[str, int, float, list[Dense]], None]
"""Called after every epoch with the step's name, the epoch, its mean loss and the network as it stands."""

SHARED_VALUES = CODEBOOK_SIZE - 1
"""Distinct non-zero weights that a codebook holds."""

_WARM_UP = 300
_PRUNE_EVERY = 100
_VARIANCE_FLOOR = 1e-30


@dataclass(frozen=True)
class Settings:
    """How long and how fast a step trains.

    Parameters
    ----------
    epochs : int
    learning_rate : float
        Adam's, at its peak; it warms up over the first 300 batches and falls to 0 along a half cosine.
    batch_size : int
    seed : int
        Of the order of the training data. The same seed, data and number of threads give the same network on the same
        machine with the same PyTorch.
    """

    epochs: int
    learning_rate: float = 2e-3
    batch_size: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1 or not 0 < self.learning_rate < math.inf:
            raise NetworkError(f"{self} is no way to train: epochs, batch size and learning rate must be above 0")


def initialise(sizes: Sequence[int], seed: int = 0) -> list[Dense]:
    """Return a random network with ReLU between the layers (He initialisation), ready to be trained.

    Parameters
    ----------
    sizes : sequence of int
        Inputs, then outputs of every layer.
    seed : int
    """
    rng = np.random.default_rng(seed)
    last = len(sizes) - 2
    return [
        Dense(
            rng.standard_normal((rows, columns)) * math.sqrt(2 / columns),
            np.zeros(rows),
            "relu" if i < last else None,
            f"fc{i + 1}",
        )
        for i, (columns, rows) in enumerate(itertools.pairwise(sizes))
    ]


def fit(network: Sequence[Dense], data: Data, settings: Settings, progress: Progress | None = None) -> list[Dense]:
    """Train a network's weights and biases; weights that are 0 are taken as pruned and stay 0."""
    student = _Student(network)
    for _ in _steps(student, data, settings, "train", progress):
        student.apply_masks()
    return student.network()


def prune_retrain(
    network: Sequence[Dense],
    data: Data,
    density: float,
    settings: Settings,
    pruning: float = 0.6,
    progress: Progress | None = None,
) -> list[Dense]:
    """Prune a trained network little by little while it goes on training, then retrain what is left.

    Every 100 batches the least salient weights of the whole network are removed for good, so that the density falls
    from its present value along a cubic curve (Zhu and Gupta, 2017) and each layer finds its own. The saliency of a
    weight w is w**2 times the mean square of its gradient: the loss that its removal costs to second order, with the
    empirical Fisher information for the curvature (optimal brain damage; LeCun et al., 1989).

    Parameters
    ----------
    network : sequence of Dense
        Weights that are 0 already stay 0.
    data : callable
        See `Data`.
    density : float
        Weights to keep over all weights of the network, above 0 and at most 1.
    settings : Settings
    pruning : float
        Share of the training in which pruning takes place, above 0 and below 1; the rest retrains under the final mask.
    progress : callable, optional

    Returns
    -------
    list of Dense
        With round(density * weights) non-zero weights (fewer only if there were fewer).

    Raises
    ------
    NetworkError
        If the density or the share of pruning is out of range, or there are too few batches to prune in.
    """
    if not 0 < density <= 1:
        raise NetworkError(f"density is {density!r}; it must be above 0 and at most 1")
    if not 0 < pruning < 1:
        raise NetworkError(f"pruning is {pruning!r}; it must be above 0 and below 1")
    student = _Student(network)
    initial = max(density, student.density())
    pruned_at = -1.0
    for done, optimiser in _steps(student, data, settings, "prune", progress):
        due = done.batch % _PRUNE_EVERY == _PRUNE_EVERY - 1 and done.fraction < pruning
        if due or (done.fraction >= pruning > pruned_at):
            pruned_at = done.fraction
            left = max(0.0, 1 - done.fraction / pruning)
            student.keep(density + (initial - density) * left**3, _saliencies(student, optimiser))
        student.apply_masks()
    return student.network()


def share_finetune(
    network: Sequence[Dense],
    data: Data,
    settings: Settings,
    values: int = SHARED_VALUES,
    code_cost: float = 0.0,
    bias_fraction_bits: int | None = None,
    progress: Progress | None = None,
) -> list[Dense]:
    """Give every layer a few shared weights, then fine-tune their values.

    Which weights share a value stays as it is found at first (`share`); the gradient of a shared value is the sum of
    its weights' gradients.

    Parameters
    ----------
    network : sequence of Dense
        A pruned network; its zeros stay.
    data : callable
        See `Data`.
    settings : Settings
    values : int
        Most distinct non-zero weights of a layer, 1 to 15.
    code_cost : float
        Weight of a code's length when sharing; see `share`.
    bias_fraction_bits : int, optional
        Round all biases to multiples of 2**-bias_fraction_bits, before the fine-tuning, and leave them so: they
        take few bytes in a model file. None fine-tunes them with the values.
    progress : callable, optional

    Returns
    -------
    list of Dense
        At most ``values`` distinct non-zero weights in a layer, exactly.
    """
    student = _Student(network)
    if bias_fraction_bits is not None:
        student.round_biases(bias_fraction_bits)
    student.share(values, code_cost)
    for _ in _steps(student, data, settings, "share", progress):
        pass
    return student.network()


def share(
    weights: NDArray[np.float32], values: int = SHARED_VALUES, code_cost: float = 0.0, iterations: int = 60
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Find shared values for weights, by k-means from linear initialisation, with a price on rare codes.

    A weight joins the value with the least ``(weight - value)**2 / variance + code_cost * bits``, where bits is the
    length of the value's ideal code, -log2 of its frequency (entropy-constrained quantisation; Chou et al., 1989).

    Parameters
    ----------
    weights : ndarray, shape (n,)
        Non-zero weights.
    values : int
        Most values, 1 to 15.
    code_cost : float
        0 is plain k-means; 0.002 or so shortens Huffman codes at little error.
    iterations : int

    Returns
    -------
    values : ndarray, shape (k,), float64
        Ascending, distinct, not 0.
    codes : ndarray, shape (n,), intp
        Index of each weight's value.
    """
    if not 1 <= values <= SHARED_VALUES:
        raise NetworkError(f"{values} shared values asked for; a codebook has 1 to {SHARED_VALUES}")
    w = np.asarray(weights, np.float64).ravel()
    if not len(w):
        return np.zeros(0), np.zeros(0, np.intp)
    variance = max(float(w.var()), _VARIANCE_FLOOR)
    centroids = np.linspace(w.min(), w.max(), values)
    bits = np.full(values, math.log2(values))
    codes = np.zeros(len(w), np.intp)
    for _ in range(iterations):
        previous = codes
        codes = ((w[:, None] - centroids) ** 2 / variance + code_cost * bits).argmin(axis=1)
        used, codes, counts = np.unique(codes, return_inverse=True, return_counts=True)
        codes = codes.reshape(-1)
        centroids = np.bincount(codes, weights=w) / counts
        bits = -np.log2(counts / len(w))
        if len(used) == len(np.unique(previous)) and np.array_equal(codes, previous):
            break
    centroids[centroids == 0] = np.finfo(np.float32).tiny
    return centroids, codes


@dataclass(frozen=True)
class _Done:
    batch: int
    fraction: float


class _Shared(torch.autograd.Function):
    """Look up shared values; the gradient of a value is the sum over the weights that share it."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        ctx.codes, ctx.size = codes, len(values)
        return values[codes]

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        sums = torch.bincount(ctx.codes.flatten(), weights=gradient.flatten().double(), minlength=ctx.size)
        sums[0] = 0  # what is pruned stays 0
        return sums.to(gradient.dtype), None


def shared_values(values: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """Look up values by code; code 0 is an absent weight and gets no gradient, the others the sum of their weights'."""
    return _Shared.apply(values, codes)


class _Student:
    """A network as torch tensors: weights under masks, or shared values and codes in their place."""

    def __init__(self, network: Sequence[Dense]) -> None:
        self.layers = list(network)
        self.weights = [torch.tensor(layer.weight).requires_grad_() for layer in network]
        self.biases = [
            torch.tensor(np.zeros(len(layer.weight), np.float32) if layer.bias is None else layer.bias).requires_grad_()
            for layer in network
        ]
        self.masks = [(weight != 0).detach() for weight in self.weights]
        self.values: list[torch.Tensor] = []
        self.codes: list[torch.Tensor] = []
        self.biases_frozen = False

    def parameters(self) -> list[torch.Tensor]:
        """What is trained."""
        return (self.values or self.weights) + ([] if self.biases_frozen else self.biases)

    def effective(self) -> list[torch.Tensor]:
        if self.values:
            return [shared_values(v, c) for v, c in zip(self.values, self.codes, strict=True)]
        return self.weights

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer, weight, bias in zip(self.layers, self.effective(), self.biases, strict=True):
            x = functional.linear(x, weight, bias)
            x = torch.relu(x) if layer.activation == "relu" else x
        return x

    def keep(self, density: float, saliencies: list[torch.Tensor]) -> None:
        """Keep the given share of all weights, those of largest saliency."""
        scores = torch.cat([s.masked_fill(~m, -1).flatten() for s, m in zip(saliencies, self.masks, strict=True)])
        count = min(round(density * len(scores)), int(sum(m.sum() for m in self.masks)))
        chosen = torch.zeros(len(scores), dtype=torch.bool)
        chosen[torch.topk(scores, count).indices] = True
        sizes = [mask.numel() for mask in self.masks]
        self.masks = [part.view_as(m) for part, m in zip(chosen.split(sizes), self.masks, strict=True)]

    def density(self) -> float:
        return sum(int(m.sum()) for m in self.masks) / sum(m.numel() for m in self.masks)

    def apply_masks(self) -> None:
        with torch.no_grad():
            for weight, mask in zip(self.weights, self.masks, strict=True):
                weight.mul_(mask)

    def round_biases(self, fraction_bits: int) -> None:
        self.biases_frozen = True
        scale = 2.0**fraction_bits
        self.biases = [torch.round(bias.detach() * scale) / scale for bias in self.biases]

    def share(self, values: int, code_cost: float) -> None:
        for layer in self.layers:
            kept = layer.weight != 0
            centroids, codes = share(layer.weight[kept], values, code_cost)
            indices = np.zeros(layer.weight.shape, np.int64)
            indices[kept] = codes + 1
            self.values.append(torch.tensor(np.append(0, centroids), dtype=torch.float32).requires_grad_())
            self.codes.append(torch.tensor(indices))

    def network(self) -> list[Dense]:
        return [
            Dense(weight.detach().numpy().copy(), bias.detach().numpy().copy(), layer.activation, layer.name)
            for layer, weight, bias in zip(self.layers, self.effective(), self.biases, strict=True)
        ]


def _steps(
    student: _Student,
    data: Data,
    settings: Settings,
    name: str,
    progress: Progress | None,
) -> Iterator[tuple[_Done, torch.optim.Adam]]:
    """Train, and yield after every batch."""
    optimiser = torch.optim.Adam(student.parameters(), lr=settings.learning_rate)
    generator = torch.Generator().manual_seed(settings.seed)
    batch = 0
    for epoch in range(settings.epochs):
        inputs, targets = (torch.as_tensor(array) for array in data(epoch))
        targets = targets if targets.ndim == 2 else targets.long()
        order = torch.randperm(len(inputs), generator=generator).split(settings.batch_size)
        losses = 0.0
        for chosen in order:
            fraction = batch / (len(order) * settings.epochs)
            warm = min(1.0, (batch + 1) / min(_WARM_UP, max(1, len(order) * settings.epochs // 10)))
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * fraction))
            loss = functional.cross_entropy(student.forward(inputs[chosen]), targets[chosen])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            losses += loss.item()
            yield _Done(batch, fraction), optimiser
            batch += 1
        if progress:
            progress(name, epoch, losses / len(order), student.network())


def _saliencies(student: _Student, optimiser: torch.optim.Adam) -> list[torch.Tensor]:
    """Squared weight times mean squared gradient, which Adam keeps anyway."""
    return [weight.detach() ** 2 * optimiser.state[weight]["exp_avg_sq"] for weight in student.weights]
