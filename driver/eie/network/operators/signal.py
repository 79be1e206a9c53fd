"""Fourier transforms, as networks of sound have them before their first layer."""

from __future__ import annotations

import numpy as np

from eie.errors import NetworkError
from eie.network.operators.elementwise import dtype_of
from eie.network.operators.table import Array, Shape, axis_of, operator


def _transformed_axis(x: Array, axis: Array | None) -> int:
    """Return the axis that is transformed; the last one holds real and imaginary parts."""
    at = axis_of(-2 if axis is None else int(axis.ravel()[0]), x.ndim)
    if x.ndim < 2 or at == x.ndim - 1 or x.shape[-1] not in (1, 2):
        raise NetworkError(f"axis {at} of shape {x.shape} has no last axis behind it of one or two parts")
    return at


def _bins(length: int, onesided: int) -> int:
    return length // 2 + 1 if onesided else length


def _length(x: Array, length: Array | None, at: int) -> int:
    count = x.shape[at] if length is None else int(length.ravel()[0])
    if count < 1:
        raise NetworkError(f"a transform of length {count} does not exist")
    return count


def _dft_shape(
    x: Array, length: Array | None = None, axis: Array | None = None, *, inverse: int = 0, onesided: int = 0
) -> Shape:
    at = _transformed_axis(x, axis)
    if inverse and onesided:
        return (*x.shape[:at], _whole_length(x, length, at), *x.shape[at + 1 : -1], 1)
    return (*x.shape[:at], _bins(_length(x, length, at), onesided), *x.shape[at + 1 : -1], 2)


def _whole_length(x: Array, length: Array | None, at: int) -> int:
    """Return how many samples one side stands for."""
    return max(1, 2 * (x.shape[at] - 1)) if length is None else _length(x, length, at)


@operator("DFT", _dft_shape)
def dft(
    x: Array, length: Array | None = None, axis: Array | None = None, *, inverse: int = 0, onesided: int = 0
) -> Array:
    at = _transformed_axis(x, axis)
    if inverse and onesided:
        return np.fft.irfft(_complex(x), _whole_length(x, length, at), at)[..., None].astype(x.dtype)
    count = _length(x, length, at)
    y = (np.fft.ifft if inverse else np.fft.fft)(_complex(x), count, at)
    return _parts(np.take(y, np.arange(_bins(count, onesided)), at), x)


def _complex(x: Array) -> Array:
    return x[..., 0] + 1j * x[..., 1] if x.shape[-1] == 2 else x[..., 0]


def _parts(y: Array, x: Array) -> Array:
    """Return real and imaginary parts as x has them."""
    return np.stack([y.real, y.imag], -1).astype(x.dtype)


def _frames(x: Array, step: Array, window: Array | None, length: Array | None) -> tuple[int, int, int]:
    """Return the length of a frame, from one to the next, and how many there are."""
    if x.ndim not in (2, 3) or x.shape[2:] not in ((), (1,), (2,)):
        raise NetworkError(f"a signal of shape {x.shape} is not (batch, samples), with one or two parts behind")
    count = int(length.ravel()[0]) if length is not None else window.size if window is not None else x.shape[1]
    apart = int(step.ravel()[0])
    if apart < 1 or not 1 <= count <= x.shape[1]:
        raise NetworkError(f"frames of {count}, {apart} apart, do not fit a signal of {x.shape[1]} samples")
    if window is not None and window.shape != (count,):
        raise NetworkError(f"a window of shape {window.shape} does not fit frames of {count}")
    return count, apart, (x.shape[1] - count) // apart + 1


def _stft_shape(
    x: Array, step: Array, window: Array | None = None, length: Array | None = None, *, onesided: int = 1
) -> Shape:
    count, _, frames = _frames(x, step, window, length)
    return (x.shape[0], frames, _bins(count, onesided), 2)


@operator("STFT", _stft_shape, 1)
def stft(
    x: Array, step: Array, window: Array | None = None, length: Array | None = None, *, onesided: int = 1
) -> Array:
    count, apart, frames = _frames(x, step, window, length)
    signal = _complex(x) if x.ndim == 3 else x
    places = np.arange(frames)[:, None] * apart + np.arange(count)
    cut = signal[:, places] if window is None else signal[:, places] * window
    return _parts(np.fft.fft(cut, axis=-1)[..., : _bins(count, onesided)], x)


def _mel_shape(bands: Array, length: Array, *others: Array, **attributes: int) -> Shape:
    return int(length.ravel()[0]) // 2 + 1, int(bands.ravel()[0])


@operator("MelWeightMatrix", _mel_shape)
def mel_weight_matrix(
    bands: Array, length: Array, rate: Array, lowest: Array, highest: Array, *, output_datatype: int = 1
) -> Array:
    """Return triangles over the bins of a spectrum, shape (bins, bands), as wide on the mel scale as apart."""
    rows, columns = _mel_shape(bands, length)
    low, high = (2595 * np.log10(1 + float(x.ravel()[0]) / 700) for x in (lowest, highest))
    edges = 700 * (10 ** ((low + np.arange(columns + 2) * (high - low) / (columns + 2)) / 2595) - 1)
    places = ((int(length.ravel()[0]) + 1) * edges // int(rate.ravel()[0])).astype(int)
    below, center, above = places[:-2], places[1:-1], places[2:]
    if columns and not (places[0] >= 0 and places[-1] <= rows):
        raise NetworkError(f"bands from bin {places[0]} to {places[-1]} do not fit a spectrum of {rows}")
    bins = np.arange(rows)[:, None]
    rising = (bins - below) / np.maximum(center - below, 1)
    falling = (above - bins) / np.maximum(above - center, 1)
    found = np.where((bins >= center) & (bins < above), falling, np.where((bins >= below) & (bins < center), rising, 0))
    return np.where(bins == center, 1, found).astype(dtype_of(output_datatype))
