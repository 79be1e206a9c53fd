"""A network in training: weights under masks, or shared values and codes in their place, as torch tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.compression.entropy_sharing import share
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

_WARM_UP = 300


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


@dataclass(frozen=True)
class Done:
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


class Student:
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


def steps(
    student: Student,
    data: Data,
    settings: Settings,
    name: str,
    progress: Progress | None,
) -> Iterator[tuple[Done, torch.optim.Adam]]:
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
            yield Done(batch, fraction), optimiser
            batch += 1
        if progress:
            progress(name, epoch, losses / len(order), student.network())


def saliencies(student: Student, optimiser: torch.optim.Adam) -> list[torch.Tensor]:
    """Squared weight times mean squared gradient, which Adam keeps anyway."""
    return [weight.detach() ** 2 * optimiser.state[weight]["exp_avg_sq"] for weight in student.weights]
