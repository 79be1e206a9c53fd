"""A network that is fed piece by piece: what its recurrent layers remember stays from one piece to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from eie.arguments import real_array, require_type
from eie.errors import NetworkError
from eie.network.graph import Array, Graph, Node, Value
from eie.network.graph_model import GraphModel, named_inputs, unnamed
from eie.network.operators.recurrent import INITIAL_STATES
from eie.network.states import unfed_states
from eie.runtime.graphs import Around


class RunsGraphs(Protocol):
    """What runs graphs: an `eie.Accelerator`."""

    def run_graph(self, model: GraphModel, inputs: Any, verify: bool, around: Around | None) -> dict[str, Array]: ...


class Stream:
    """One sequence on its way through a network; `Accelerator.stream` makes it.

    Parameters
    ----------
    accelerator : Accelerator
    model : GraphModel
    states : mapping of str to str
        Inputs of the network that take, from the second piece on, what an output gave for the piece before. If none
        are named, recurrent layers whose state no input determines go on with theirs; else such a layer begins anew
        with each piece, as it does in the network.
    initial : mapping of str to array_like
        What such inputs take for the first piece; default: zeros.

    Attributes
    ----------
    kept : dict of str to ndarray
        The states, by the name of their input, or of the recurrent node with the number of its input.

    Raises
    ------
    NetworkError
        If there is nothing to keep, a name is not known, or a layer runs backwards.
    """

    def __init__(
        self, accelerator: RunsGraphs, model: GraphModel, states: Mapping[str, str], initial: Mapping[str, ArrayLike]
    ) -> None:
        for what, mapping in (("states", states), ("initial", initial)):
            require_type(mapping, Mapping, what, "a dict by the names of inputs", NetworkError)
        self.accelerator, self.model, self.states = accelerator, model, dict(states)
        graph = model.graph
        self._inputs = {value.name: value for value in graph.inputs}
        for names, known in ((states, self._inputs), (states.values(), [v.name for v in graph.outputs])):
            unknown = [name for name in names if name not in known]
            if unknown:
                raise NetworkError(f"there is no state {unknown[0]!r}; the network has {', '.join(known)}")
        self._nodes = {} if states else unfed_states(graph)
        if not self._nodes and not states:
            raise NetworkError(f"model {model.name!r} keeps nothing: name its states, {{input: output}}")
        unknown = [name for name in initial if name not in states]
        if unknown:
            raise NetworkError(f"{unknown[0]!r} is given as a first state, but no state has that name")
        self._initial = {
            name: real_array(array, f"first state {name!r}", NetworkError) for name, array in initial.items()
        }
        self.kept: dict[str, Array] = dict(self._initial)

    def reset(self) -> None:
        """Begin anew."""
        self.kept = dict(self._initial)

    def run(self, inputs: Any, *, verify: bool = False) -> Any:
        """Run the next piece: inputs and outputs as those of `Accelerator.run`, without the states.

        If it fails, the states are those of before, so that it may be tried again.
        """
        given = [value for value in self.model.graph.inputs if value.name not in self.states]
        arrays = named_inputs(Graph((), given, given[:1] or self.model.graph.inputs[:1]), inputs) if given else {}
        arrays.update({name: self._state(name, arrays) for name in self.states})
        new: dict[str, Array] = {}

        def begin(node: Node, values: list[Array | None]) -> list[Array | None]:
            places = self._nodes.get(node.outputs[0], ())
            filled = [*values, *[None] * (max(places, default=-1) + 1 - len(values))]
            for place in places:
                filled[place] = self.kept.get(f"{node.outputs[0]}:{place}", filled[place])
            return filled

        def end(node: Node, outputs: list[Array]) -> None:
            for place in self._nodes.get(node.outputs[0], ()):
                new[f"{node.outputs[0]}:{place}"] = outputs[INITIAL_STATES[place]]

        outputs = self.accelerator.run_graph(self.model, arrays, verify, (begin, end))
        new.update({name: outputs.pop(output) for name, output in self.states.items()})
        self.kept = new
        return unnamed(outputs)

    def _state(self, name: str, given: Mapping[str, Array]) -> Array:
        if name in self.kept:
            return self.kept[name]
        value = self._inputs[name]
        sizes = {
            size: array.shape[i]
            for other, array in given.items()
            for i, size in enumerate(self._shape(other))
            if isinstance(size, str) and i < array.ndim
        }
        shape = [size if isinstance(size, int) else sizes.get(size or "") for size in value.shape or (None,)]
        if None in shape:
            raise NetworkError(f"state {value} leaves its size open; give its first value, initial={{{name!r}: ...}}")
        return np.zeros(shape, value.dtype)  # type: ignore[arg-type]

    def _shape(self, name: str) -> tuple[int | str | None, ...]:
        value: Value | None = self._inputs.get(name)
        return (value.shape or ()) if value else ()
