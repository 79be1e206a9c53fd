"""A graph computed in numpy, node by node."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from eie.arguments import real_array
from eie.errors import EieError, NetworkError
from eie.network.graph import ABSENT, CONDITIONAL, LOOPS, Array, Graph, Node, Value, count_uses, find_operator
from eie.network.loops import is_true, run_loop

Hook = Callable[[Node, list["Array | None"]], "list[Array] | None"]
"""Is asked to compute each node, and may leave it (None) to the operator's own evaluation."""
Hooks = Callable[[Node, list[list["Array | None"]]], "list[list[Array]] | None"]
"""The same of several samples: it gets a node's inputs in each of them, and returns the outputs in each."""


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
    (found,) = evaluate_in_step(graph, [inputs], _for_one(hook))
    return found


def evaluate_in_step(
    graph: Graph, samples: Sequence[Mapping[str, ArrayLike]], hooks: Hooks | None = None
) -> list[dict[str, Array]]:
    """Compute a graph for several samples, every node for all of them before the next one; see `evaluate`."""
    names = [value.name for value in graph.outputs]
    found = _evaluate(graph, [check_inputs(graph, inputs) for inputs in samples], hooks)
    return [dict(zip(names, outputs, strict=True)) for outputs in found]


def _evaluate(graph: Graph, samples: Sequence[Mapping[str, Array]], hooks: Hooks | None) -> list[list[Array]]:
    *_, (_, found) = walk_in_step(graph, samples, hooks)
    return [[values[value.name] for value in graph.outputs] for values in found]


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
    for place, (found,) in walk_in_step(graph, [values], _for_one(hook), first):
        yield place, found


def walk_in_step(
    graph: Graph, samples: Sequence[Mapping[str, Array]], hooks: Hooks | None = None, first: int = 0
) -> Iterator[tuple[int, list[dict[str, Array]]]]:
    """Walk with several samples, computing every node for all of them before the next one; see `walk`."""
    found = [{**values, **graph.constants} for values in samples]
    left = count_uses(graph)
    for name in (name for node in graph.nodes[:first] for name in node.inputs):
        left[name] -= 1
    for place in range(first, len(graph.nodes)):
        yield place, found
        node = graph.nodes[place]
        for values, results in zip(found, _compute_node(node, found, hooks), strict=True):
            for name, result in zip(node.outputs, results):  # noqa: B905 - the last may be left out
                if name != ABSENT:
                    values[name] = result
        for name in node.inputs:  # what nobody reads any more is let go
            left[name] -= 1
            if not left[name] and name not in graph.constants:
                for values in found:
                    values.pop(name, None)
    yield len(graph.nodes), found


def _for_one(hook: Hook | None) -> Hooks | None:
    """Return a hook as it is wanted where there is one sample."""
    if hook is None:
        return None

    def hooks(node: Node, samples: list[list[Array | None]]) -> list[list[Array]] | None:
        (inputs,) = samples
        results = hook(node, inputs)
        return None if results is None else [results]

    return hooks


def compute_node(node: Node, values: Mapping[str, Array], hook: Hook | None = None) -> list[Array]:
    """Compute a node of values by name, or raise an error that names it."""
    (results,) = _compute_node(node, [values], _for_one(hook))
    return results


def _compute_node(node: Node, samples: Sequence[Mapping[str, Array]], hooks: Hooks | None) -> list[list[Array]]:
    try:
        return _compute(node, samples, hooks)
    except NetworkError as error:
        raise NetworkError(f"{node}: {error}") from error
    except EieError:
        raise
    except MemoryError as error:
        raise NetworkError(f"{node}: there is not enough memory for its outputs") from error
    except Exception as error:  # numpy's own words for shapes and types that do not go together
        shapes = ", ".join(str(samples[0][name].shape) if name else "absent" for name in node.inputs)
        raise NetworkError(f"{node} cannot compute inputs of shapes {shapes}: {error}") from error


def _compute(node: Node, samples: Sequence[Mapping[str, Array]], hooks: Hooks | None) -> list[list[Array]]:
    if node.operator == CONDITIONAL:
        return _compute_branches(node, samples, hooks)
    if node.operator in LOOPS:
        return [run_loop(node, values, lambda graph, given: _evaluate(graph, [given], hooks)[0]) for values in samples]
    inputs = [[values[name] if name else None for name in node.inputs] for values in samples]
    results = None if hooks is None else hooks(node, inputs)
    if results is None:
        results = [run_node(node, each) for each in inputs]
    for each in results:
        if len(each) < len(node.outputs):
            raise NetworkError(f"gives {len(each)} outputs here; the graph wants {len(node.outputs)}")
    return results


def _compute_branches(node: Node, samples: Sequence[Mapping[str, Array]], hooks: Hooks | None) -> list[list[Array]]:
    """Compute a branch for all samples that take it."""
    taken = ["then_branch" if is_true(values[node.inputs[0]]) else "else_branch" for values in samples]
    results: dict[int, list[Array]] = {}
    for branch in sorted(set(taken)):
        places = [i for i, name in enumerate(taken) if name == branch]
        found = _evaluate(node.attributes[branch], [samples[i] for i in places], hooks)
        results.update(zip(places, found, strict=True))
    return [results[i] for i in range(len(samples))]


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
