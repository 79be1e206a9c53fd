"""The order of computing of layers in a file that keeps none: from numbers in their names, else from their shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from eie.errors import NetworkError

Shapes = Mapping[str, tuple[int, ...]]

_MOST_STEPS = 20_000
"""Steps of the search for orders after which it is given up."""


def order_of_layers(shapes: Shapes, source: str) -> list[str]:
    """Return the names of layers in the only order that names and shapes allow.

    Names that differ in their numbers only, such as fc, fc2 and fc10, come in the order of these; a missing number
    is before all others. Names that differ otherwise say nothing: then the layers' shapes must chain in one order only.

    Parameters
    ----------
    shapes : dict of name to (outputs, inputs)
    source : str
        What the message calls the file.

    Raises
    ------
    NetworkError
        If several orders chain.
    """
    sequences = _sequences(list(shapes))
    if len(sequences) == 1:
        return sequences[0]
    orders = _Search(shapes, sequences).found
    if len(orders) > 1:
        tried = " or ".join(", ".join(order) for order in orders)
        raise NetworkError(
            f"{source}: its layers chain in more than one order ({tried}), and their names do not say in which they "
            "are computed: give layers=[...], on the command line --layers a,b,c"
        )
    # Where none chains, the error that follows shows the order by name.
    return orders[0] if orders else sorted(shapes, key=lambda name: (_pattern(name), _numbers(name)))


def _sequences(names: list[str]) -> list[list[str]]:
    """Return the names in groups that differ in their numbers only, each in the order of these."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_pattern(name), []).append(name)
    for pattern in list(groups):  # fc belongs to fc2
        if pattern + "#" in groups and len(groups[pattern]) == 1:
            groups[pattern + "#"] += groups.pop(pattern)
    sequences = []
    for group in groups.values():
        ordered = sorted(group, key=_numbers)
        distinct = len({tuple(_numbers(name)) for name in group}) == len(group)
        sequences += [ordered] if distinct else [[name] for name in ordered]
    return sequences


def _pattern(name: str) -> str:
    return re.sub(r"\d+", "#", name)


def _numbers(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]


class _Search:
    """Looks for the first two orders in which all layers chain and every sequence keeps its own order."""

    def __init__(self, shapes: Shapes, sequences: Sequence[Sequence[str]]) -> None:
        self.shapes, self.sequences = shapes, sequences
        self.found: list[list[str]] = []
        self.dead: set[tuple[tuple[int, ...], int]] = set()
        self.steps = 0
        self._extend([], tuple(0 for _ in sequences), -1)

    def _extend(self, order: list[str], taken: tuple[int, ...], outputs: int) -> bool:
        """Complete an order in every way, and tell whether there was one."""
        self.steps += 1
        if len(order) == len(self.shapes):
            self.found.append(order)
            return True
        if (taken, outputs) in self.dead or self.steps > _MOST_STEPS:
            return False
        alive = False
        for i, sequence in enumerate(self.sequences):
            if taken[i] < len(sequence) and len(self.found) < 2:
                rows, columns = self.shapes[sequence[taken[i]]]
                if outputs in (-1, columns):
                    further = (*taken[:i], taken[i] + 1, *taken[i + 1 :])
                    alive |= self._extend([*order, sequence[taken[i]]], further, rows)
        if not alive:
            self.dead.add((taken, outputs))
        return alive
