"""Where a batch lies in the tensors of a graph, and nodes that fix its size, made to take any."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eie.network.graph import ABSENT, Array, Node
from eie.network.operators.recurrent import INITIAL_STATES, RECURRENT
from eie.network.operators.sequences import is_sequence

Opened = tuple[list[Node], dict[str, Array]]
"""Nodes in the place of one, and constants that they add."""


@dataclass(frozen=True)
class Layout:
    """Where the batch lies in a tensor.

    Parameters
    ----------
    axis : int
    before : int
        Of the places that a single input has along the axis, how many lie around the batch, outside; the others lie
        within. With 1 the inputs lie one behind the other; with all of them they take turns.
    """

    axis: int
    before: int = 1

    def part(self, together: Array, count: int, i: int) -> Array:
        """Return what one of so many inputs has in a tensor."""
        outer, size, inner = together.shape[: self.axis], together.shape[self.axis], together.shape[self.axis + 1 :]
        split = together.reshape(*outer, self.before, count, size // (count * self.before), *inner)
        return np.take(split, i, self.axis + 1).reshape(*outer, size // count, *inner)


def find_layout(alone: Sequence[Array], together: Array, sizes_tell: bool = False) -> Layout | None:
    """Return where inputs lie in a tensor, by what they give alone and together; None if that does not tell.

    With `sizes_tell`, sizes are enough where only one place is possible.
    """
    shape, count = alone[0].shape, len(alone)
    if together.ndim != len(shape) or any(x.shape != shape for x in alone) or is_sequence(together):
        return None
    longer = [i for i, (one, several) in enumerate(zip(shape, together.shape, strict=True)) if one != several]
    if len(longer) != 1 or together.shape[longer[0]] != count * shape[longer[0]]:
        return None
    (axis,) = longer
    possible = [Layout(axis, before) for before in range(1, shape[axis] + 1) if shape[axis] % before == 0]
    if sizes_tell and len(possible) == 1:
        return possible[0]
    if len(possible) > 1 and together.size:  # a line along the axis rules most of them out
        line = tuple(slice(None) if i == axis else 0 for i in range(together.ndim))
        lines, whole = [x[line] for x in alone], together[line]
        possible = [layout for layout in possible if _fits(Layout(0, layout.before), lines, whole)]
    fitting = [layout for layout in possible if _fits(layout, alone, together)]
    return fitting[0] if len(fitting) == 1 else None


def _fits(layout: Layout, alone: Sequence[Array], together: Array) -> bool:
    return all(alike(layout.part(together, len(alone), i), x) for i, x in enumerate(alone))


def alike(found: Array, wanted: Array) -> bool:
    """Say whether two tensors are the same up to the order of sums."""
    if found.dtype.kind not in "fciub":  # texts
        return np.array_equal(found, wanted)
    return found.shape == wanted.shape and np.allclose(found, wanted, rtol=1e-4, atol=1e-5, equal_nan=True)


@dataclass(frozen=True)
class FixedNode:
    """A node that reads a batch, and may hold its size in a constant.

    Parameters
    ----------
    node : Node
    layouts : mapping of str to Layout
        Of the tensors that hold a batch.
    constants : mapping of str to ndarray
    shape : tuple of int
        Of the node's first output for a single input of the graph.
    shapes : mapping of str to tuple of int
        Of what it reads then.
    any_size : bool
        Whether other sizes than these are possible.
    """

    node: Node
    layouts: Mapping[str, Layout]
    constants: Mapping[str, Array]
    shape: tuple[int, ...]
    shapes: Mapping[str, tuple[int, ...]]
    any_size: bool = False

    def alternatives(self) -> Iterator[Opened]:
        """Yield what may give the same of any batch, the likeliest first."""
        batched = [name for name in dict.fromkeys(self.node.inputs) if name in self.layouts]
        rewrite = _REWRITES.get(self.node.operator) if batched else None
        changed = rewrite(self) if rewrite else None
        yield [self.node], {}
        if changed is not None:
            yield changed
        for name in batched[:0:-1] + batched[:1] if len(batched) > 1 else ():
            for layout, move, sizes in self._moves(name):
                inputs = tuple(self._name("moved") if each == name else each for each in self.node.inputs)
                fixed = replace(
                    self,
                    node=replace(self.node, inputs=inputs),
                    layouts={**self.layouts, self._name("moved"): layout},
                    shapes={**self.shapes, self._name("moved"): self.shapes[name]},
                )
                for opened in (([fixed.node], {}), rewrite(fixed) if rewrite else None):
                    if opened is not None:
                        yield [move, *opened[0]], {**sizes, **opened[1]}

    def _moves(self, name: str) -> Iterator[tuple[Layout, Node, dict[str, Array]]]:
        """Yield where a batch could lie as well, for a single input has one place there; and how it gets there."""
        here, shape, moved, place = self.layouts[name].axis, self.shapes[name], self._name("moved"), self._name("place")
        if shape[here] == 1:
            for i, size in enumerate(shape):
                if i != here and size == 1:
                    perm = list(range(len(shape)))
                    perm[here], perm[i] = i, here
                    yield Layout(i), Node("Transpose", (name,), (moved,), {"perm": perm}), {}
            others = [here + 1] if here + 1 < len(shape) else []
        else:  # it shares its axis: axes of one place before it could take it
            first = here
            while first and shape[first - 1] == 1 and self.layouts[name].before == 1 and not self.any_size:
                first -= 1
            others = list(range(first, here))
        for i in others:
            sizes = np.zeros(len(shape), np.int64)  # 0: as many as before
            sizes[here], sizes[i] = shape[here], -1
            yield Layout(i), Node("Reshape", (name, place), (moved,)), {place: sizes}

    def of_reshape(self) -> Opened | None:
        """A Reshape: elements keep their order, and the batch stays behind as many of them as before."""
        data, target = self.node.inputs[:2]
        if data not in self.layouts or 0 in self.shape or not self.shape:
            return None
        axis = self._axis_behind(self.layouts[data], self.shapes[data])
        if axis is None:
            return None
        sizes = list(self.shape) if target not in self.constants else self.constants[target].ravel().tolist()
        if target not in self.constants and self.any_size:
            return None
        sizes[axis] = -1
        if sizes.count(-1) > 1 and self.layouts[data].axis == axis and self.shapes[data][axis] == self.shape[axis] == 1:
            sizes[axis] = 0  # as many as before
        if sizes.count(-1) > 1:
            if self.any_size:
                return None
            sizes = [-1 if i == axis else size for i, size in enumerate(self.shape)]
        name = self._name("sizes")
        attributes = {**self.node.attributes, "allowzero": 0}
        return [replace(self.node, inputs=(data, name), attributes=attributes)], {name: np.array(sizes, np.int64)}

    def _axis_behind(self, layout: Layout, shape: tuple[int, ...]) -> int | None:
        """Return the axis of a reshaped tensor in which the batch comes behind as many elements as before."""
        place = math.prod(shape[: layout.axis]) * layout.before
        outside = [math.prod(self.shape[:i]) for i in range(len(self.shape) + 1)]
        ends = [i for i, elements in enumerate(outside) if elements == place]
        single = [i for i, size in enumerate(self.shape) if size == 1 and i in ends]
        if single:
            return layout.axis if layout.axis in single else single[0]
        if ends:  # it shares one: the axis behind its place or, lest it be among the channels, the one before
            return ends[0] if ends[0] < len(self.shape) - 1 else max(ends[0] - 1, 0)
        within = [i for i in range(len(self.shape)) if outside[i] < place < outside[i + 1]]
        return within[0] if outside[within[0] + 1] % place == 0 and place % outside[within[0]] == 0 else None

    def of_equal_sizes(self) -> Opened | None:
        """A node whose inputs must have the same sizes, some of them constant: each input of the graph gets its own."""
        batched = next(name for name in self.node.inputs if name in self.layouts)
        axis, others = self.layouts[batched].axis, [name for name in self.node.inputs if name not in self.layouts]
        if not others or any(name not in self.constants or self.shapes[name][axis] != 1 for name in others):
            return None
        return self._with_own(batched, axis, len(self.shape), others)

    def of_resize(self) -> Opened | None:
        """A Resize to given sizes, that of the batch among them: to those of the other axes."""
        data, rank = self.node.inputs[0], len(self.shape)
        if data not in self.layouts or len(self.node.inputs) < 4 or self.node.inputs[3] not in self.constants:
            return None
        axes = [axis % rank for axis in self.node.attributes["axes"] or range(rank)]
        others = [i for i, axis in enumerate(axes) if axis != self.layouts[data].axis]
        name = self._name("sizes")
        attributes = {**self.node.attributes, "axes": [axes[i] for i in others]}
        changed = replace(self.node, inputs=(data, ABSENT, ABSENT, name), attributes=attributes)
        return [changed], {name: self.constants[self.node.inputs[3]].ravel()[others]}

    def of_recurrent(self) -> Opened | None:
        """A recurrent node with constant states to begin with: each sequence gets its own."""
        data, inputs = self.node.inputs[0], self.node.inputs
        begins = [inputs[i] for i in INITIAL_STATES if i < len(inputs) and inputs[i] in self.constants]
        if data not in self.layouts or not begins:
            return None
        nothing = [name for name in begins if not self.constants[name].any()]
        if nothing == begins:  # zeros are what it begins with anyway
            return [replace(self.node, inputs=tuple(ABSENT if name in nothing else name for name in inputs))], {}
        return self._with_own(data, self.layouts[data].axis, 3, begins)

    def of_scatter(self) -> Opened | None:
        """A ScatterND to given places, each of the first input alone: to these places of all of them."""
        data, indices, updates = self.node.inputs
        if data not in self.layouts or updates not in self.layouts or indices not in self.constants:
            return None
        axis, of_updates, places = self.layouts[data].axis, self.layouts[updates].axis, self.constants[indices]
        if axis >= places.shape[-1] or of_updates >= places.ndim - 1 or places.shape[of_updates] != 1:
            return None
        # The batch goes behind all other axes, where it belongs to what is written as a whole.
        names = {what: self._name(what) for what in ("data", "places", "updates", "written")}
        kept = np.delete(places.squeeze(of_updates), axis, -1)
        rank = len(self.shape)
        behind, back = _last(axis, rank), np.argsort(_last(axis, rank)).tolist()
        nodes = [
            Node("Transpose", (data,), (names["data"],), {"perm": behind}),
            Node("Transpose", (updates,), (names["updates"],), {"perm": _last(of_updates, len(self.shapes[updates]))}),
            replace(self.node, inputs=(names["data"], names["places"], names["updates"]), outputs=(names["written"],)),
            Node("Transpose", (names["written"],), self.node.outputs, {"perm": back}),
        ]
        return nodes, {names["places"]: kept}

    def _with_own(self, batched: str, axis: int, rank: int, names: Sequence[str]) -> Opened:
        """Return the node with constants repeated along an axis as often as the batch of another tensor has inputs."""
        before, batch, behind, sizes = map(self._name, ("before", "batch", "behind", "sizes"))
        new = {name: self._name(str(i)) for i, name in enumerate(names)}
        nodes = [
            Node("Shape", (batched,), (batch,), {"start": axis, "end": axis + 1}),
            Node("Concat", (before, batch, behind), (sizes,), {"axis": 0}),
            *(Node("Expand", (name, sizes), (repeated,)) for name, repeated in new.items()),
            replace(self.node, inputs=tuple(new.get(name, name) for name in self.node.inputs)),
        ]
        return nodes, {before: np.ones(axis, np.int64), behind: np.ones(rank - axis - 1, np.int64)}

    def _name(self, what: str) -> str:
        return f"{self.node.outputs[0]}:{what}"


def _last(axis: int, rank: int) -> list[int]:
    """Return the order of axes in which one comes behind all others."""
    return [*(i for i in range(rank) if i != axis), axis]


_REWRITES: dict[str, Callable[[FixedNode], Opened | None]] = {
    "Reshape": FixedNode.of_reshape,
    **dict.fromkeys(("Concat", "GatherElements", "ScatterElements"), FixedNode.of_equal_sizes),
    "Resize": FixedNode.of_resize,
    "ScatterND": FixedNode.of_scatter,
    **dict.fromkeys(RECURRENT, FixedNode.of_recurrent),
}
