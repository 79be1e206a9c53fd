"""A Llama 2 of the smallest size in numpy: stories260K, in the file format of llama2.c (Karpathy, 2023).

    python examples/stories_model.py stories260K.bin

A decoder of the Llama family: RMSNorm, rotary position embeddings, grouped-query attention, SwiGLU. All matrices are in
`Llama.matrices`, by name, so that they may be replaced by compressed ones; `Llama.multiply` is the one place where they
are multiplied by. `docs/training.md` has the figures.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

_HEADER = struct.Struct("<7i")
_EPSILON = 1e-5
_ROTARY_BASE = 10_000.0

Past = dict[int, tuple[np.ndarray, np.ndarray]]
"""Keys and values of the tokens so far, by layer, each of shape (T, key heads, size)."""


@dataclass
class Llama:
    """A decoder.

    Parameters
    ----------
    heads, key_heads : int
        Of queries; of keys and values.
    embedding : ndarray, shape (vocabulary, D)
        Shared with the classifier.
    norms : dict of ndarray, shape (D,)
        Scales of the RMSNorms: "attention0", "feed_forward0", ..., "final".
    matrices : dict of ndarray, shape (outputs, inputs)
        "wq0", "wk0", "wv0", "wo0", "w1_0" (gate), "w2_0" (down), "w3_0" (up), ..., and "classifier".
    multiply : callable (name, x) -> y, optional
        Computes ``x @ matrices[name].T``, x of shape (T, inputs).
    """

    heads: int
    key_heads: int
    embedding: np.ndarray
    norms: dict[str, np.ndarray]
    matrices: dict[str, np.ndarray]
    multiply: Callable[[str, np.ndarray], np.ndarray] | None = None
    layers: int = field(default=0)

    def logits(self, tokens: np.ndarray, past: Past | None = None) -> np.ndarray:
        """Return what the model makes of every position: shape (T,) -> shape (T, vocabulary).

        With `past`, the tokens follow those that it was given before, and it is told of these.
        """
        past = {} if past is None else past
        x = self.embedding[tokens]
        for layer in range(self.layers):
            x = x + self._attend(layer, _rms_norm(x, self.norms[f"attention{layer}"]), past)
            normal = _rms_norm(x, self.norms[f"feed_forward{layer}"])
            gate = self._product(f"w1_{layer}", normal)
            hidden = gate / (1 + np.exp(-gate)) * self._product(f"w3_{layer}", normal)
            x = x + self._product(f"w2_{layer}", hidden)
        return self._product("classifier", _rms_norm(x, self.norms["final"]))

    def _product(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self.matrices[name].T if self.multiply is None else self.multiply(name, x)

    def _attend(self, layer: int, x: np.ndarray, past: Past) -> np.ndarray:
        length, width = x.shape
        size = width // self.heads
        q, k, v = (self._product(f"{name}{layer}", x).reshape(length, -1, size) for name in ("wq", "wk", "wv"))
        begin = len(past[layer][0]) if layer in past else 0
        q, k = _rotate(q, begin), _rotate(k, begin)
        if begin:
            k, v = (np.concatenate(parts) for parts in zip(past[layer], (k, v), strict=True))
        past[layer] = k, v
        repeats = self.heads // self.key_heads
        k, v = np.repeat(k, repeats, axis=1), np.repeat(v, repeats, axis=1)
        q, k, v = (np.swapaxes(part, 0, 1) for part in (q, k, v))  # (heads, T, size)
        scores = q @ np.swapaxes(k, 1, 2) / np.sqrt(np.float32(size))
        scores[:, np.triu(np.ones((length, begin + length), bool), 1 + begin)] = -np.inf
        mixed = np.swapaxes(_softmax(scores) @ v, 0, 1)
        return self._product(f"wo{layer}", mixed.reshape(length, width))


def load(path: str | Path) -> Llama:
    """Read a .bin file of llama2.c, version 0: seven int32, then float32."""
    data = Path(path).read_bytes()
    width, hidden, layers, heads, key_heads, vocabulary, length = _HEADER.unpack_from(data)
    values = np.frombuffer(data, "<f4", offset=_HEADER.size)
    position = 0

    def take(*shape: int) -> np.ndarray:
        nonlocal position
        count = int(np.prod(shape))
        position += count
        return values[position - count : position].reshape(shape)

    embedding = take(abs(vocabulary), width)
    keys = width // heads * key_heads
    norms = {f"attention{i}": scale for i, scale in enumerate(take(layers, width))}
    shapes = {"wq": (width, width), "wk": (keys, width), "wv": (keys, width), "wo": (width, width)}
    matrices = {f"{name}{i}": m for name, shape in shapes.items() for i, m in enumerate(take(layers, *shape))}
    norms.update({f"feed_forward{i}": scale for i, scale in enumerate(take(layers, width))})
    shapes = {"w1": (hidden, width), "w2": (width, hidden), "w3": (hidden, width)}
    matrices.update({f"{name}_{i}": m for name, shape in shapes.items() for i, m in enumerate(take(layers, *shape))})
    norms["final"] = take(width)
    take(2, length, width // heads // 2)  # tables of the rotary embedding, which are computed here
    # A negative vocabulary says that the classifier is a matrix of its own.
    matrices["classifier"] = embedding if vocabulary > 0 else take(-vocabulary, width)
    return Llama(heads, key_heads, embedding, norms, matrices, layers=layers)


def sample(model: Llama, count: int, length: int, seed: int) -> np.ndarray:
    """Return texts that the model writes at temperature 1, as tokens, shape (count, length), each begun by token 1."""
    rng = np.random.default_rng(seed)
    texts = np.ones((count, length), np.int64)
    for text in texts:
        past: Past = {}
        for end in range(1, length):
            probabilities = _softmax(model.logits(text[end - 1 : end], past)[-1].astype(np.float64))
            text[end] = rng.choice(len(probabilities), p=probabilities / probabilities.sum())
    return texts


def perplexity(model: Llama, texts: np.ndarray) -> float:
    """Return the exponential of the mean negative log-likelihood of every token but the first."""
    losses = []
    for text in texts:
        probabilities = _softmax(model.logits(text[:-1]).astype(np.float64))
        losses.append(-np.log(probabilities[np.arange(len(text) - 1), text[1:]]))
    return float(np.exp(np.mean(losses)))


def _rms_norm(x: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(_EPSILON)) * scale


def _rotate(x: np.ndarray, begin: int) -> np.ndarray:
    """Turn pairs of neighbours by angles that grow with the position from `begin` on, shape (T, heads, size)."""
    length, _, size = x.shape
    angles = np.arange(begin, begin + length)[:, None] * _ROTARY_BASE ** (-np.arange(0, size, 2) / size)
    cosine, sine = (f(angles)[:, None].astype(np.float32) for f in (np.cos, np.sin))
    first, second = x[..., ::2], x[..., 1::2]
    return np.stack((first * cosine - second * sine, first * sine + second * cosine), axis=-1).reshape(x.shape)


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


if __name__ == "__main__":
    llama = load(sys.argv[1])
    print(f"perplexity on text of its own: {perplexity(llama, sample(llama, 8, 128, seed=1)):.2f}")
