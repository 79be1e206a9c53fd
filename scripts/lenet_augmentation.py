"""Digits, distorted at random anew in every epoch, for `train_lenet.py`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from eie.compression.student import Arrays, Data, functional, torch
from eie.data.mnist import Digits


def augmented(digits: Digits, recipe: Any) -> Data:
    """Return training data that cycle through the images as they are and ``recipe.copies`` distorted copies."""
    generator = torch.Generator().manual_seed(recipe.seed)
    copies = [digits.images, *(distort(digits.images, recipe, generator) for _ in range(recipe.copies))]

    def data(epoch: int) -> Arrays:
        return Digits(copies[epoch % len(copies)], digits.labels).inputs(), digits.labels

    return data


def distort(images: np.ndarray, recipe: Any, generator: torch.Generator, chunk: int = 5000) -> np.ndarray:
    """Rotate, scale, shear, shift and warp every image at random, a little."""

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator) * 2 - 1

    result = np.empty_like(images)
    for start in range(0, len(images), chunk):
        pixels = torch.tensor(images[start : start + chunk], dtype=torch.float32).view(-1, 1, 28, 28)
        count = len(pixels)
        angle = uniform(count) * math.radians(recipe.rotation)
        width, height = 1 + uniform(2, count) * recipe.scale
        affine = torch.zeros(count, 2, 3)
        affine[:, 0, 0], affine[:, 0, 1] = angle.cos() * width, uniform(count) * recipe.shear - angle.sin() * height
        affine[:, 1, 0], affine[:, 1, 1] = angle.sin() * width, angle.cos() * height
        affine[:, :, 2] = uniform(count, 2) * recipe.shift / 14  # the grid runs from -1 to 1 over 28 pixels
        grid = functional.affine_grid(affine, list(pixels.shape), align_corners=False)
        warp = torch.randn(count, 2, 5, 5, generator=generator) * recipe.elastic / 14
        grid += functional.interpolate(warp, size=(28, 28), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
        moved = functional.grid_sample(pixels, grid, align_corners=False).view(count, -1)
        result[start : start + chunk] = moved.round().clamp(0, 255).to(torch.uint8).numpy()
    return result


# Measuring.
