"""A graph computed in numpy, node by node."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import ArrayLike

from eie.arguments import real_array
from eie.errors import EieError, NetworkError
from eie.network.control import run_control
from eie.network.graph import ABSENT, CONTROL, Array, Graph, Node, Value, count_uses, find_operator

Hook = Callable[[Node, list["Array | None"]], "list[Array] | None"]
"""Is asked to compute each node, and may leave it (None) to the operator's own evaluation."""


def evaluate(graph: Graph, inputs: Mapping[str, ArrayLike], hook: Hook | None = None) -> dict[str, Array]:
    """Compute a graph in numpy.

    Parameters
    ----------
    graph : Graph
    inputs : mapping of str to array_like
        One for each of the graph's inputs; see `check_inputs`.
    hook : callable, optional
        See `Hook`.

    Returns
    -------
    dict of str to ndarray
        The outputs, in the graph's order.

    Raises
    ------
    NetworkError
        If an input does not fit, or a node cannot compute what it gets; the message names the node.
    """
    found = _evaluate(graph, check_inputs(graph, inputs), hook)
    return {value.name: result for value, result in zip(graph.outputs, found, strict=True)}


def _evaluate(graph: Graph, values: Mapping[str, Array], hook: Hook | None) -> list[Array]:
    *_, (_, found) = walk(graph, values, hook)
    return [found[value.name] for value in graph.outputs]


def walk(
    graph: Graph, values: Mapping[str, Array], hook: Hook | None = None, first: int = 0
) -> Iterator[tuple[int, dict[str, Array]]]:
    """Compute a graph node by node; before each, and at the end, yield its place and the values that are still read.

    Parameters
    ----------
    graph : Graph
    values : mapping of str to ndarray
        The inputs; or what was yielded before the node at `first`, from which another walk can thus begin.
    hook : callable, optional
        See `Hook`.
    first : int
        Place of the first node to compute.
    """
    values = {**values, **graph.constants}
    left = count_uses(graph)
    for name in (name for node in graph.nodes[:first] for name in node.inputs):
        left[name] -= 1
    for place in range(first, len(graph.nodes)):
        yield place, values
        node = graph.nodes[place]
        for name, result in zip(node.outputs, compute_node(node, values, hook)):  # noqa: B905 - the last may be left out
            if name != ABSENT:
                values[name] = result
        for name in node.inputs:  # what nobody reads any more is let go
            left[name] -= 1
            if not left[name] and name not in graph.constants:
                values.pop(name, None)
    yield len(graph.nodes), values


def compute_node(node: Node, values: Mapping[str, Array], hook: Hook | None = None) -> list[Array]:
    """Compute a node of values by name, or raise an error that names it."""
    try:
        return _compute(node, values, hook)
    except NetworkError as error:
        raise NetworkError(f"{node}: {error}") from error
    except EieError:
        raise
    except MemoryError as error:
        raise NetworkError(f"{node}: there is not enough memory for its outputs") from error
    except Exception as error:  # numpy's own words for shapes and types that do not go together
        shapes = ", ".join(str(values[name].shape) if name else "absent" for name in node.inputs)
        raise NetworkError(f"{node} cannot compute inputs of shapes {shapes}: {error}") from error


def _compute(node: Node, values: Mapping[str, Array], hook: Hook | None) -> list[Array]:
    if node.operator in CONTROL:
        return run_control(node, values, lambda graph, given: _evaluate(graph, given, hook))
    inputs = [values[name] if name else None for name in node.inputs]
    results = None if hook is None else hook(node, inputs)
    if results is None:
        results = run_node(node, inputs)
    if len(results) < len(node.outputs):
        raise NetworkError(f"gives {len(results)} outputs here; the graph wants {len(node.outputs)}")
    return results


def run_node(node: Node, inputs: list[Array | None]) -> list[Array]:
    """Compute a node that holds no graphs by its operator's own evaluation."""
    attributes = node.attributes
    if "num_outputs" in attributes and not attributes["num_outputs"]:  # Split into as many parts as there are names
        attributes = {**attributes, "num_outputs": len(node.outputs)}
    return find_operator(node.operator).run(inputs, attributes)


def check_inputs(graph: Graph, inputs: Mapping[str, ArrayLike]) -> dict[str, Array]:
    """Return a graph's inputs as arrays of its types, or raise `NetworkError` for one that does not fit.

    Numbers are converted where the kind allows (floats of any width, integers to floats); sizes must agree with those
    the graph fixes, and those of one name with each other.
    """
    names = [value.name for value in graph.inputs]
    unknown = [name for name in inputs if name not in names]
    if unknown:
        raise NetworkError(f"there is no input {unknown[0]!r}; the network takes {', '.join(map(str, graph.inputs))}")
    found: dict[str, Array] = {}
    sizes: dict[str, int] = {}
    for value in graph.inputs:
        if value.name not in inputs:
            raise NetworkError(f"input {value} is not given; the network takes {', '.join(map(str, graph.inputs))}")
        found[value.name] = _fitting(value, real_array(inputs[value.name], f"input {value}", NetworkError), sizes)
    return found


def _fitting(value: Value, array: Array, sizes: dict[str, int]) -> Array:
    dtype = np.dtype(value.dtype)
    same_kind = array.dtype.kind == dtype.kind or (dtype.kind == "f" and array.dtype.kind in "iub")
    if dtype.kind in "iu" and array.dtype.kind in "iub" and array.size:
        limits = np.iinfo(dtype)
        same_kind = limits.min <= int(array.min()) and int(array.max()) <= limits.max
    if not same_kind:
        raise NetworkError(f"input {value} is given as {array.dtype}, which does not convert without loss")
    fits, why = value.shape is None or len(value.shape) == array.ndim, ""
    for wanted, size in zip(value.shape or (), array.shape) if fits else ():  # noqa: B905 - no shape: no sizes
        known = sizes.setdefault(wanted, size) if isinstance(wanted, str) else wanted
        if known not in (None, size):
            fits, why = False, f": {wanted} is {known} elsewhere" if isinstance(wanted, str) else ""
    if not fits:
        raise NetworkError(f"input {value} is given with shape {array.shape}, which does not fit{why}")
    return array.astype(dtype, copy=False)
