"""Shared values for a model file: k-means with a price on rare codes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from eie.compression.sharing import SHARED_VALUES
from eie.errors import NetworkError

_VARIANCE_FLOOR = 1e-30


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
