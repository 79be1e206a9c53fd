"""Where a sliding window lies on its input: convolutions and pooling share it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.errors import NetworkError
from eie.network.operators.table import Array, Shape, check_elements

Ints = tuple[int, ...]


@dataclass(frozen=True)
class Geometry:
    """A window over the spatial axes: output position p begins at input position p * stride - before."""

    kernel: Ints
    strides: Ints
    dilations: Ints
    before: Ints
    """Zeros before the input; negative: elements left out."""
    outputs: Ints

    def taps(self, patch: Ints) -> list[NDArray[np.intp]]:
        """Return, for each axis, the positions that a patch of neighbouring outputs reads, from the first one's."""
        return [
            np.unique(np.arange(p)[:, None] * s + np.arange(k) * d)
            for p, k, s, d in zip(patch, self.kernel, self.strides, self.dilations, strict=True)
        ]

    def patches(self, patch: Ints) -> Ints:
        """Return how many patches of this size cover the outputs, for each axis."""
        return tuple(-(-n // p) for n, p in zip(self.outputs, patch, strict=True))

    def rows(self, patch: Ints, first: int, last: int) -> Geometry:
        """Return the geometry of some rows of patches of this size: those of the first axis, `last` not among them."""
        from_output, to_output = first * patch[0], min(last * patch[0], self.outputs[0])
        before = (self.before[0] - from_output * self.strides[0], *self.before[1:])
        return replace(self, before=before, outputs=(to_output - from_output, *self.outputs[1:]))

    def as_picture(self) -> Geometry:
        """Return the geometry of a window over one axis as that of a picture of one row."""
        first = {"kernel": 1, "strides": 1, "dilations": 1, "before": 0, "outputs": 1}
        return Geometry(**{name: (value, *getattr(self, name)) for name, value in first.items()})

    def vectors(self, x: Array, patch: Ints) -> Array:
        """Return what each patch of outputs reads, one a row: (B, C, *sizes) -> (B * patches, C * taps)."""
        counts, taps = self.patches(patch), self.taps(patch)
        check_elements((*x.shape[:2], *counts, *map(len, taps)))
        apart = [max(1, int(np.gcd.reduce(tap))) for tap in taps]  # of neighbouring taps
        places = [tap // step for tap, step in zip(taps, apart, strict=True)]
        jumps = [p * s for p, s in zip(patch, self.strides, strict=True)]  # from one patch to the next
        reach = [(n - 1) * jump + int(tap[-1]) + 1 for n, jump, tap in zip(counts, jumps, taps, strict=True)]
        padded = self.padded(x, reach)
        batch, channel, *steps = padded.strides
        between = [step * jump for step, jump in zip(steps, jumps, strict=True)]
        within = [step * n for step, n in zip(steps, apart, strict=True)]
        shape = (len(x), *counts, x.shape[1], *(int(at[-1]) + 1 for at in places))
        found = np.lib.stride_tricks.as_strided(padded, shape, (batch, *between, channel, *within), writeable=False)
        if any(len(at) <= at[-1] for at in places):  # a stride leaves out what no kernel reaches
            read: Any = (..., *np.ix_(*places))
            found = found[read]
        return np.ascontiguousarray(found).reshape(len(x) * math.prod(counts), -1)

    def padded(self, x: Array, reach: Sequence[int], first: int = 2) -> Array:
        """Return what windows that reach so far see along the axes from `first` on, zeros around it."""
        places = [slice(None)] * x.ndim
        widths = [(0, 0)] * x.ndim
        for axis, (before, end) in enumerate(zip(self.before, reach, strict=True), first):
            places[axis] = slice(max(0, -before), max(0, end - before))
            seen = len(range(*places[axis].indices(x.shape[axis])))
            widths[axis] = max(0, before), max(0, end - max(0, before) - seen)
        x = x[tuple(places)]
        return np.pad(x, widths) if np.any(widths) else x

    def reduce(self, x: Array, ufunc: np.ufunc, fill: float) -> Array:
        """Return what a ufunc makes of each window: (B, C, *sizes) -> (B, C, *outputs), axis by axis, tap by tap."""
        for i, count in enumerate(self.outputs):
            axis, stride = 2 + i, self.strides[i]
            span = (count - 1) * stride + 1
            reach = span + (self.kernel[i] - 1) * self.dilations[i] - self.before[i]
            widths = [(0, 0)] * x.ndim
            widths[axis] = (max(0, self.before[i]), max(0, reach - x.shape[axis]))
            padded = np.pad(x, widths, constant_values=fill) if any(widths[axis]) else x
            taps = (max(0, -self.before[i]) + k * self.dilations[i] for k in range(self.kernel[i]))
            before = (slice(None),) * axis
            parts = (padded[(*before, slice(tap, tap + span, stride))] for tap in taps)
            x = next(parts).copy()
            for part in parts:
                ufunc(x, part, out=x)
        return x


def window(
    sizes: Shape,
    kernel: list[int] | Ints,
    strides: list[int] | None,
    dilations: list[int] | None,
    pads: list[int] | None,
    auto_pad: str,
    ceil_mode: int = 0,
) -> Geometry:
    """Return the geometry of ONNX's attributes for an input of these spatial sizes."""
    rank = len(kernel)
    if len(sizes) != rank:
        raise NetworkError(f"a window of {rank} dimensions does not fit an input of {len(sizes)} spatial ones")
    stride, dilation = (tuple(v) if v else (1,) * rank for v in (strides, dilations))
    given = list(pads) if pads else [0] * (2 * rank)
    if not len(stride) == len(dilation) == rank or len(given) != 2 * rank or min(*stride, *dilation, *kernel) < 1:
        raise NetworkError(f"kernel {kernel}, strides {stride}, dilations {dilation} and pads {given} do not fit")
    before, outputs = [], []
    for i, size in enumerate(sizes):
        reach = (kernel[i] - 1) * dilation[i] + 1
        first, last = _auto(auto_pad, size, reach, stride[i]) or (given[i], given[i + rank])
        span = size + first + last - reach
        count = (-(-span // stride[i]) if ceil_mode else span // stride[i]) + 1
        if ceil_mode and (count - 1) * stride[i] >= size + first:  # a window may not begin behind the input
            count -= 1
        if count < 1:
            raise NetworkError(f"a window of {reach} does not fit an input of {size} with pads {first} and {last}")
        before.append(first)
        outputs.append(count)
    return Geometry(tuple(kernel), stride, dilation, tuple(before), tuple(outputs))


def _auto(auto_pad: str, size: int, reach: int, stride: int) -> tuple[int, int] | None:
    if auto_pad in ("NOTSET", ""):
        return None
    if auto_pad == "VALID":
        return 0, 0
    if auto_pad not in ("SAME_UPPER", "SAME_LOWER"):
        raise NetworkError(f"auto_pad {auto_pad!r} is not known")
    total = max(0, (math.ceil(size / stride) - 1) * stride + reach - size)
    small = total // 2
    return (small, total - small) if auto_pad == "SAME_UPPER" else (total - small, small)
