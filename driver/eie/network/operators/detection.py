"""What detectors end with, and what samples a picture at places of its own."""

from __future__ import annotations

import itertools
import math

import numpy as np

from eie.errors import NetworkError
from eie.network.operators.indexing import checked_indices
from eie.network.operators.table import Array, Shape, operator

# Non-maximum suppression


def _most_boxes(boxes: Array, scores: Array, most: Array | None) -> int:
    if boxes.ndim != 3 or boxes.shape[2] != 4 or scores.ndim != 3 or scores.shape[::2] != boxes.shape[:2]:
        raise NetworkError(f"boxes of shape {boxes.shape} and scores of shape {scores.shape} do not fit")
    return 0 if most is None else max(0, min(int(most.ravel()[0]), boxes.shape[1]))


def _selected(
    boxes: Array,
    scores: Array,
    most: Array | None = None,
    iou_threshold: Array | None = None,
    score_threshold: Array | None = None,
    *,
    center_point_box: int = 0,
) -> list[tuple[int, int, int]]:
    """Return batch, class and number of the boxes that are kept, the best of a class first."""
    count = _most_boxes(boxes, scores, most)
    overlap = 0.0 if iou_threshold is None else float(iou_threshold.ravel()[0])
    lows, highs = _corners(boxes, center_point_box)
    found: list[tuple[int, int, int]] = []
    for batch, of_class in np.ndindex(*scores.shape[:2]):
        values = scores[batch, of_class]
        order = np.argsort(-values, kind="stable")
        if score_threshold is not None:
            order = order[values[order] > score_threshold.ravel()[0]]
        end = len(found) + count
        while len(order) and len(found) < end:
            best, order = int(order[0]), order[1:]
            found.append((batch, of_class, best))
            order = order[_overlaps(lows[batch], highs[batch], best, order) <= overlap]
    return found


@operator("NonMaxSuppression", lambda *inputs, **attributes: (len(_selected(*inputs, **attributes)), 3))
def non_max_suppression(
    boxes: Array,
    scores: Array,
    most: Array | None = None,
    iou_threshold: Array | None = None,
    score_threshold: Array | None = None,
    *,
    center_point_box: int = 0,
) -> Array:
    found = _selected(boxes, scores, most, iou_threshold, score_threshold, center_point_box=center_point_box)
    return np.array(found, np.int64).reshape(-1, 3)


def _corners(boxes: Array, center_point_box: int) -> tuple[Array, Array]:
    """Return the lower and the upper corners of boxes, shape (B, N, 2)."""
    first, second = boxes[..., :2], boxes[..., 2:]
    if center_point_box:
        return first - second / 2, first + second / 2
    return np.minimum(first, second), np.maximum(first, second)


def _overlaps(lows: Array, highs: Array, best: int, others: Array) -> Array:
    """Return intersection over union of a box with others."""
    sides = np.minimum(highs[best], highs[others]) - np.maximum(lows[best], lows[others])
    shared = np.prod(np.maximum(sides, 0), axis=-1)
    areas = np.prod(highs - lows, axis=-1)
    union = areas[best] + areas[others] - shared
    return np.where(union > 0, shared / np.where(union > 0, union, 1), 0)


# RoiAlign


def _aligned_shape(
    x: Array, rois: Array, batch: Array, *, output_height: int = 1, output_width: int = 1, **_: object
) -> Shape:
    if x.ndim != 4 or rois.shape != (len(batch), 4):
        raise NetworkError(f"regions of shape {rois.shape} and {len(batch)} pictures do not fit {x.shape}")
    return len(rois), x.shape[1], output_height, output_width


@operator("RoiAlign", _aligned_shape, 4)
def roi_align(
    x: Array,
    rois: Array,
    batch: Array,
    *,
    coordinate_transformation_mode: str = "half_pixel",
    mode: str = "avg",
    output_height: int = 1,
    output_width: int = 1,
    sampling_ratio: int = 0,
    spatial_scale: float = 1.0,
) -> Array:
    """Cut regions out and bring them to one size, each place the mean or the largest of points in its part."""
    found = np.zeros(_aligned_shape(x, rois, batch, output_height=output_height, output_width=output_width), x.dtype)
    half_pixel = coordinate_transformation_mode == "half_pixel"
    for i, (region, picture) in enumerate(zip(rois * spatial_scale, checked_indices(x, batch, 0), strict=True)):
        region = region - 0.5 if half_pixel else region
        sides = []
        for axis, count in ((1, output_height), (0, output_width)):
            size = region[axis + 2] - region[axis]
            size = size if half_pixel else max(size, 1)
            points = max(sampling_ratio or math.ceil(size / count), 0)
            steps = (np.arange(count * points) + 0.5) * (size / count / max(points, 1))
            sides.append((points, *_neighbours(region[axis] + steps, x.shape[3 - axis])))
        (high, *rows), (wide, *columns) = sides
        if not high * wide:
            continue
        corners = [
            x[picture][:, at][:, :, to] * weight[:, None] * other
            for at, weight in (rows[:2], rows[2:])
            for to, other in (columns[:2], columns[2:])
        ]
        values = np.maximum.reduce(corners) if mode == "max" else np.sum(corners, axis=0)
        parts = values.reshape(len(values), output_height, high, output_width, wide)
        found[i] = parts.max(axis=(2, 4)) if mode == "max" else parts.mean(axis=(2, 4))
    return found


def _neighbours(places: Array, size: int) -> tuple[Array, Array, Array, Array]:
    """Return the elements before and behind places of an axis, each with its weight; both 0 far outside."""
    inside = (places >= -1) & (places <= size)
    places = np.clip(places, 0, size - 1)
    first = np.floor(places).astype(np.intp)
    part = places - first
    return first, (1 - part) * inside, np.minimum(first + 1, size - 1), part * inside


# GridSample

_CUBIC = -0.75


def _linear_taps(offset: Array) -> list[tuple[int, Array]]:
    return [(0, 1 - offset), (1, offset)]


def _cubic_taps(offset: Array) -> list[tuple[int, Array]]:
    def near(x: Array) -> Array:
        return ((_CUBIC + 2) * x - (_CUBIC + 3)) * x * x + 1

    def far(x: Array) -> Array:
        return ((_CUBIC * x - 5 * _CUBIC) * x + 8 * _CUBIC) * x - 4 * _CUBIC

    return [(-1, far(offset + 1)), (0, near(offset)), (1, near(1 - offset)), (2, far(2 - offset))]


_TAPS = {"linear": _linear_taps, "bilinear": _linear_taps, "cubic": _cubic_taps, "bicubic": _cubic_taps}


def _sampled_shape(x: Array, grid: Array, **_: object) -> Shape:
    if x.ndim < 3 or grid.ndim != x.ndim or grid.shape[-1] != x.ndim - 2 or len(grid) != len(x):
        raise NetworkError(f"a grid of shape {grid.shape} does not fit an input of shape {x.shape}")
    return (*x.shape[:2], *grid.shape[1:-1])


@operator("GridSample", _sampled_shape, 4)
def grid_sample(
    x: Array, grid: Array, *, align_corners: int = 0, mode: str = "linear", padding_mode: str = "zeros"
) -> Array:
    shape, sizes = _sampled_shape(x, grid), x.shape[2:]
    if padding_mode not in ("zeros", "border", "reflection") or mode not in ("nearest", *_TAPS):
        raise NetworkError(f"mode {mode!r} with padding {padding_mode!r} is not known")
    axes = []
    for size, along in zip(sizes, np.moveaxis(grid[..., ::-1], -1, 0), strict=True):
        place = (along + 1) / 2 * (size - 1) if align_corners else ((along + 1) * size - 1) / 2
        first = np.rint(place) if mode == "nearest" else np.floor(place)
        taps = [(0, np.ones_like(place))] if mode == "nearest" else _TAPS[mode](place - first)
        axes.append([_tap(first + step, weight, size, padding_mode, align_corners) for step, weight in taps])
    flat = x.reshape(*x.shape[:2], -1)
    y = np.zeros((*x.shape[:2], int(np.prod(shape[2:]))), x.dtype)
    for chosen in itertools.product(*axes):
        at = np.ravel_multi_index([places for places, _ in chosen], sizes).reshape(len(x), 1, -1)
        weight = np.prod([weights for _, weights in chosen], axis=0).reshape(len(x), 1, -1)
        y += (np.take_along_axis(flat, at, 2) * weight).astype(x.dtype)
    return y.reshape(shape)


def _tap(place: Array, weight: Array, size: int, padding: str, align_corners: int) -> tuple[Array, Array]:
    """Return places on an axis and their weights: what lies outside is 0, or taken from inside."""
    if padding == "zeros":
        weight = np.where((place >= 0) & (place < size), weight, 0)
    elif padding == "reflection":
        first, last = (0.0, size - 1.0) if align_corners else (-0.5, size - 0.5)
        period = 2 * (last - first)
        if period:
            away = np.mod(place - first, period)
            place = np.minimum(away, period - away) + first
    return np.clip(place, 0, size - 1).astype(np.intp), weight
