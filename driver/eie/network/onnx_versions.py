"""Other forms of ONNX's operators, brought to the newest: what was an attribute has become an input, and the like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from eie.errors import NetworkError

Attributes = dict[str, Any]
Constant = Callable[[Any], str]
"""Enters an array into the graph and returns its name."""

_AXES_AS_INPUT = {
    "Squeeze": 13,
    "Unsqueeze": 13,
    "ReduceSum": 13,
    **dict.fromkeys(
        (
            *("ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare"),
            *("ReduceLogSum", "ReduceLogSumExp"),
        ),
        18,
    ),
}
"""Version from which axes are the second input."""
_IGNORED = {
    "BatchNormalization": ("consumed_inputs", "spatial", "is_test"),
    "Dropout": ("is_test", "ratio", "consumed_inputs"),
    "Upsample": (),
    "Reshape": ("consumed_inputs",),
}
"""Attributes that say nothing of inference."""


def modernise(
    operator: str, version: int, inputs: list[str], attributes: Attributes, constant: Constant
) -> tuple[str, list[str], Attributes]:
    """Return operator, inputs and attributes of a node in the newest form.

    Parameters
    ----------
    operator : str
    version : int
        The operator set that the file imports.
    inputs : list of str
    attributes : dict
    constant : callable
        See `Constant`.
    """
    inputs, attributes = list(inputs), dict(attributes)
    for name in _IGNORED.get(operator, ()):
        attributes.pop(name, None)
    if operator in _AXES_AS_INPUT and version < _AXES_AS_INPUT[operator]:
        axes = attributes.pop("axes", None)
        inputs = inputs[:1] + ([constant(np.array(axes, np.int64))] if axes is not None else [])
    elif operator in _REWRITES:
        operator, inputs, attributes = _REWRITES[operator](operator, version, inputs, attributes, constant)
    return operator, inputs, attributes


def _move(inputs: list[str], place: int, name: str) -> list[str]:
    """Put an input at a place, with absent ones before it."""
    return inputs + [""] * (place - len(inputs)) + [name]


def _clip(operator: str, version: int, inputs: list[str], attributes: Attributes, constant: Constant) -> Any:
    for place, name in ((1, "min"), (2, "max")):
        if name in attributes:
            inputs = _move(inputs, place, constant(np.float32(attributes.pop(name))))
    return operator, inputs, attributes


def _slice(operator: str, version: int, inputs: list[str], attributes: Attributes, constant: Constant) -> Any:
    for place, name in ((1, "starts"), (2, "ends"), (3, "axes")):
        if name in attributes:
            inputs = _move(inputs, place, constant(np.array(attributes.pop(name), np.int64)))
    return operator, inputs, attributes


def _pad(operator: str, version: int, inputs: list[str], attributes: Attributes, constant: Constant) -> Any:
    if "pads" in attributes:
        inputs = _move(inputs, 1, constant(np.array(attributes.pop("pads"), np.int64)))
        inputs = _move(inputs, 2, constant(np.float32(attributes.pop("value", 0.0))))
    return operator, inputs, attributes


def _split(operator: str, version: int, inputs: list[str], attributes: Attributes, constant: Constant) -> Any:
    if "split" in attributes:
        inputs = _move(inputs, 1, constant(np.array(attributes.pop("split"), np.int64)))
    return operator, inputs, attributes


def _upsample(operator: str, version: int, inputs: list[str], attributes: Attributes, constant: Constant) -> Any:
    if "scales" in attributes:
        inputs = _move(inputs[:1], 1, constant(np.array(attributes.pop("scales"), np.float32)))
    nearest = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return "Resize", [inputs[0], "", inputs[1]], {**attributes, **nearest}


def _resize(operator: str, version: int, inputs: list[str], attributes: Attributes, constant: Constant) -> Any:
    if version < 11:
        return _upsample(operator, version, inputs, attributes, constant)
    return operator, inputs, attributes


def _softmax(operator: str, version: int, inputs: list[str], attributes: Attributes, constant: Constant) -> Any:
    if version < 13:
        # Everything from the axis on was normalised together.
        attributes = {**attributes, "axis": attributes.get("axis", 1), "flattened": 1}
    return operator, inputs, attributes


def _dft(operator: str, version: int, inputs: list[str], attributes: Attributes, constant: Constant) -> Any:
    if version < 20:
        inputs = _move(inputs, 2, constant(np.array(attributes.pop("axis", 1), np.int64)))
    return operator, inputs, attributes


def _roi_align(operator: str, version: int, inputs: list[str], attributes: Attributes, constant: Constant) -> Any:
    if version < 16:
        attributes.setdefault("coordinate_transformation_mode", "output_half_pixel")
    return operator, inputs, attributes


def _scatter(operator: str, version: int, inputs: list[str], attributes: Attributes, constant: Constant) -> Any:
    return "ScatterElements", inputs, attributes


def _optional(operator: str, version: int, inputs: list[str], attributes: Attributes, constant: Constant) -> Any:
    """An optional value is its tensor or sequence."""
    if not any(inputs):
        raise NetworkError("an optional value without a tensor is not supported; export the network without it")
    return "Identity", inputs, {}


def _scan(operator: str, version: int, inputs: list[str], attributes: Attributes, constant: Constant) -> Any:
    if version < 9:
        attributes["scan_input_directions"] = attributes.pop("directions", None)
        attributes["batched"] = 1
    return operator, inputs, attributes


_REWRITES: dict[str, Callable[..., Any]] = {
    "Clip": _clip,
    "Slice": _slice,
    "Pad": _pad,
    "Split": _split,
    "Upsample": _upsample,
    "Scatter": _scatter,
    "RoiAlign": _roi_align,
    "Resize": _resize,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "Hardmax": _softmax,
    "DFT": _dft,
    "Scan": _scan,
    "Optional": _optional,
    "OptionalGetElement": _optional,
}
