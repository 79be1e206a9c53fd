"""The operator table: every operator of a graph described once, by the function that computes it.

The function's positional parameters are the operator's inputs (default None: optional; ``*x``: any number), its
keyword-only parameters the attributes with their defaults; the decorator adds the shape rule. Semantics are those of
ONNX's newest operator sets; `eie.network.onnx_versions` brings older forms to these.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.errors import NetworkError

Array = NDArray[Any]
Shape = tuple[int, ...]
ShapeRule = Callable[..., "Shape | list[Shape]"]

REQUIRED: Any = inspect.Parameter.empty
"""Default of an attribute that must be given."""

ELEMENTS_LIMIT = 1 << 28
"""Most elements of a tensor: what a few bytes of a file can make the evaluation allocate."""


@dataclass(frozen=True)
class Operator:
    """One kind of node.

    Parameters
    ----------
    name, family : str
        ONNX's or QONNX's name; the module of `eie.network.operators` that holds it.
    evaluate : callable
        Inputs and attributes -> ndarray or tuple of ndarray.
    shape : callable
        The same arguments -> shape of the output, or a list of shapes. It reads values of small integer inputs only
        (a target shape, axes), so that it tells an output's size before memory is taken.
    attributes : dict
        Defaults by name; `REQUIRED` if there is none.
    inputs : tuple of int or None
        Fewest and most inputs; None: any number.
    multiplications : int
        For each element of the output, as the host computes it.
    where : {"host", "array"}
        "array": with constant weights its products are the array's, see `eie.network.operators.linear`.
    """

    name: str
    family: str
    evaluate: Callable[..., Any]
    shape: ShapeRule
    attributes: dict[str, Any]
    inputs: tuple[int, int | None]
    where: str
    multiplications: int = 0

    def complete(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """Return the attributes with defaults, or raise `NetworkError` for one that is unknown or missing."""
        unknown = sorted(set(attributes) - set(self.attributes))
        if unknown:
            raise NetworkError(
                f"{self.name} has no attribute {unknown[0]!r} here; it has {', '.join(self.attributes) or 'none'}"
            )
        complete = {**self.attributes, **attributes}
        missing = [name for name, value in complete.items() if value is REQUIRED]
        if missing:
            raise NetworkError(f"{self.name} needs the attribute {missing[0]!r}")
        return complete

    def run(self, inputs: list[Array | None], attributes: dict[str, Any]) -> list[Array]:
        """Compute the outputs, after their sizes have been checked."""
        self.check_sizes(inputs, attributes)
        with np.errstate(all="ignore"):  # infinities and NaN are values of the network, as in ONNX
            outputs = self.evaluate(*inputs, **attributes)
        return list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]

    def check_sizes(self, inputs: list[Array | None], attributes: dict[str, Any]) -> None:
        """Raise `NetworkError` if an output would be larger than a tensor may be."""
        shapes = self.shape(*inputs, **attributes)
        for shape in shapes if isinstance(shapes, list) else [shapes]:
            check_elements(shape)


def check_elements(shape: Shape) -> None:
    """Raise `NetworkError` if a tensor of this shape would be negative or too large."""
    elements = 1
    for size in shape:
        if size < 0:
            raise NetworkError(f"an output would have the shape {tuple(shape)}; sizes must not be negative")
        elements *= int(size)
    if elements > ELEMENTS_LIMIT:
        raise NetworkError(f"a tensor of shape {tuple(shape)} has {elements} elements; the limit is {ELEMENTS_LIMIT}")


OPERATORS: dict[str, Operator] = {}
"""Every operator by its name."""


def operator(
    name: str, shape: ShapeRule, multiplications: int = 0
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter the decorated function into the table."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        OPERATORS[name] = describe(name, function, shape, "host", multiplications)
        return function

    return enter


def describe(
    name: str, function: Callable[..., Any], shape: ShapeRule, where: str, multiplications: int = 0
) -> Operator:
    """Return the operator that a function computes."""
    parameters = inspect.signature(function).parameters.values()
    positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    least = sum(p.default is p.empty for p in positional)
    variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    attributes = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    family = function.__module__.rsplit(".", 1)[-1]
    inputs = (least, None if variadic else len(positional))
    return Operator(name, family, function, shape, attributes, inputs, where, multiplications)


# Shape rules that many share.


def same(x: Array, *others: Array | None, **attributes: Any) -> Shape:
    """The output is like the first input."""
    return x.shape


def broadcast(*inputs: Array, **attributes: Any) -> Shape:
    """The output is what numpy and ONNX broadcast the inputs to."""
    try:
        return np.broadcast_shapes(*(x.shape for x in inputs))
    except ValueError:
        shapes = ", ".join(str(x.shape) for x in inputs)
        raise NetworkError(f"its inputs have the shapes {shapes}, which do not broadcast") from None


def axis_of(axis: int, rank: int) -> int:
    """Return an axis counted from the front, or raise `NetworkError`."""
    if not -rank <= axis < max(rank, 1):
        raise NetworkError(f"axis {axis} does not exist; the tensor has {rank} dimensions")
    return int(axis) % max(rank, 1)
