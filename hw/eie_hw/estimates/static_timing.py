"""Static timing of the synthesised array: delays of the 7-series cells, a model of wires for want of a placement.

A wire takes what `Wires` says of its fan-out. Where cells share a slice, there is none: a LUT and the flip-flop, carry
chain or wide multiplexer that alone it drives, and carry chains from slice to slice.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

from eie.errors import DeviceError
from eie_hw.estimates.cell_timing import launch, setup, through


@dataclass(frozen=True)
class Wires:
    """Delay of a wire in ns: `base` + `per_octave` * log2(fan-out), and `wide` more above `wide_loads` loads.

    The middle one lies where routed 7-series designs of this size have their medium wires; the others bound it. None is
    calibrated: no pair of a netlist and its slack in Vivado is public for a design like this one.
    """

    name: str
    base: float
    per_octave: float
    wide: float
    wide_loads: int = 256

    def delay(self, loads: int) -> float:
        """Return the delay of a wire with a number of loads."""
        return self.base + self.per_octave * math.log2(max(1, loads)) + (self.wide if loads > self.wide_loads else 0)


WIRES = (Wires("short", 0.35, 0.12, 0.4), Wires("medium", 0.55, 0.2, 0.8), Wires("long", 0.75, 0.28, 1.2))


@dataclass(frozen=True)
class Step:
    """A step of a path: the wire to a cell, the cell, and the signal that leaves it.

    The first step of a path has no wire: it is the cell that starts it; the last one's delay is the setup time.
    """

    at_ns: float
    wire_ns: float
    cell_ns: float
    cell: str
    loads: int
    signal: str


@dataclass(frozen=True)
class Timing:
    """What the analysis found.

    Parameters
    ----------
    wires : Wires
    delays : list of float
        The delay in ns of every endpoint's longest path, longest first.
    paths : list of (list of Step, int)
        The longest paths, one for each pair of start and end that differ in more than the number of an instance, and
        how many endpoints are like it.
    """

    wires: Wires
    delays: list[float]
    paths: list[tuple[list[Step], int]]

    @property
    def longest_ns(self) -> float:
        """The longest path."""
        return self.delays[0]

    def above(self, limit_ns: float) -> int:
        """Return the number of endpoints above a limit."""
        return sum(delay > limit_ns for delay in self.delays)


def analyse(netlist: dict[str, Any], wires: Wires, paths: int = 10) -> Timing:
    """Return the timing of a flat netlist.

    Parameters
    ----------
    netlist : dict
        The module of Yosys' write_json: 7-series cells, no hierarchy.
    wires : Wires
    paths : int
        How many paths to return.

    Raises
    ------
    DeviceError
        For a cell whose delays are not known, and for a loop of combinational cells.
    """
    return _Analysis(netlist, wires).timing(paths)


class _Analysis:
    def __init__(self, netlist: dict[str, Any], wires: Wires) -> None:
        self.cells: dict[str, dict[str, Any]] = {
            name: cell for name, cell in netlist["cells"].items() if not cell["type"].startswith("$")
        }
        self.wires = wires
        self.names = _names(netlist["netnames"])
        self.driver: dict[int, tuple[str, str]] = {}
        self.loads: Counter[int] = Counter()
        self.arrival: dict[int, float] = {}
        self.before: dict[int, tuple[int, str, float, float]] = {}
        self._connect()
        self._propagate()

    def _connect(self) -> None:
        for name, cell in self.cells.items():
            for port, bits in cell["connections"].items():
                is_output = cell["port_directions"][port] == "output"
                for bit in bits:
                    if isinstance(bit, int):
                        if is_output:
                            self.driver[bit] = (name, port)
                        else:
                            self.loads[bit] += 1

    def _wire(self, bit: int, kind: str, port: str) -> float:
        """Return the delay of the wire to a cell's port; none within a slice."""
        source = self.cells[self.driver[bit][0]]["type"] if bit in self.driver else ""
        if kind == "CARRY4" and port == "CI":
            return 0.0
        alone = self.loads[bit] == 1
        from_lut = source.startswith("LUT")
        inside = alone and (
            (from_lut and (kind == "CARRY4" or kind.startswith("MUXF") or (kind.startswith("FD") and port == "D")))
            or (source == "CARRY4" and kind.startswith("FD") and port == "D")
            or (source.startswith("MUXF") and (kind.startswith("MUXF") or (kind.startswith("FD") and port == "D")))
        )
        return 0.0 if inside else self.wires.delay(self.loads[bit])

    def _propagate(self) -> None:
        edges: dict[int, list[tuple[int, str, float, float]]] = defaultdict(list)
        waiting: Counter[int] = Counter()
        arcs = {kind: list(through(kind)) for kind in {cell["type"] for cell in self.cells.values()}}
        for name, cell in self.cells.items():
            connections = cell["connections"]
            for port, bits in connections.items():
                if cell["port_directions"][port] == "output":
                    start = launch(cell["type"], port, cell["parameters"])
                    if start is not None:
                        self.arrival.update((bit, start) for bit in bits if isinstance(bit, int))
            for port, index, output, output_index, delay in arcs[cell["type"]]:
                sources = _chosen(connections.get(port, ()), index)
                targets = _chosen(connections.get(output, ()), output_index)
                for source in sources:
                    wire = self._wire(source, cell["type"], port)
                    for target in targets:
                        edges[source].append((target, name, wire, delay))
                        waiting[target] += 1
        ready = [bit for bit in self.driver.keys() | self.loads.keys() if not waiting[bit]]
        for bit in ready:
            self.arrival.setdefault(bit, 0.0)
        while ready:
            bit = ready.pop()
            for target, name, wire, delay in edges[bit]:
                at = self.arrival[bit] + wire + delay
                if at > self.arrival.get(target, -1.0):
                    self.arrival[target] = at
                    self.before[target] = (bit, name, wire, delay)
                waiting[target] -= 1
                if not waiting[target]:
                    ready.append(target)
        loops = [bit for bit, number in waiting.items() if number]
        if loops:
            raise DeviceError(f"{len(loops)} signals are in combinational loops, one is {self._signal(loops[0])}")

    def timing(self, paths: int) -> Timing:
        ends = []
        for name, cell in self.cells.items():
            for port, bits in cell["connections"].items():
                if cell["port_directions"][port] == "output":
                    continue
                needed = setup(cell["type"], port)
                if needed is None:
                    continue
                for bit in bits:
                    if isinstance(bit, int):
                        wire = self._wire(bit, cell["type"], port)
                        ends.append((self.arrival[bit] + wire + needed, bit, name, port, wire, needed))
        ends.sort(key=lambda end: -end[0])
        counts: Counter[tuple[str, ...]] = Counter()
        firsts: dict[tuple[str, ...], tuple] = {}
        for end in ends:
            if len(firsts) == paths and end[0] < 0.5 * ends[0][0]:
                break
            key = self._class(end)
            if key in firsts or len(firsts) < paths:
                firsts.setdefault(key, end)
                counts[key] += 1
        return Timing(self.wires, [end[0] for end in ends], [(self._path(firsts[k]), counts[k]) for k in firsts])

    def _class(self, end: tuple) -> tuple[str, ...]:
        _, bit, name, port, *_ = end
        start = bit
        while start in self.before:
            start = self.before[start][0]
        return _general(self._signal(start)), _general(self._end_signal(name, bit)), port

    def _end_signal(self, name: str, bit: int) -> str:
        """Return what a path ends at: the signal that the cell gives, or for memories its own name."""
        cell = self.cells[name]
        if cell["type"].startswith("FD"):
            return self._signal(cell["connections"]["Q"][0])
        return _readable(name) or self._signal(bit)

    def _path(self, end: tuple) -> list[Step]:
        _, bit, name, port, wire, needed = end
        steps = [Step(end[0], wire, needed, f"{self.cells[name]['type']}.{port}", 0, self._end_signal(name, bit))]
        while bit in self.before:
            source, cell, wire_before, delay = self.before[bit]
            kind = self.cells[cell]["type"]
            steps.append(Step(self.arrival[bit], wire_before, delay, kind, self.loads[bit], self._signal(bit)))
            bit = source
        kind = self.cells[self.driver[bit][0]]["type"] if bit in self.driver else "port"
        steps.append(Step(self.arrival[bit], 0.0, self.arrival[bit], kind, self.loads[bit], self._signal(bit)))
        return steps[::-1]

    def _signal(self, bit: int) -> str:
        return self.names.get(bit, f"signal {bit}")


def _chosen(bits: Any, index: int | None) -> list[int]:
    chosen = bits if index is None else bits[index : index + 1]
    return [bit for bit in chosen if isinstance(bit, int)]


def _names(nets: dict[str, dict[str, Any]]) -> dict[int, str]:
    """Return the most readable name of each bit: one of the design's own, innermost unit first, else its unit."""
    names: dict[int, tuple[tuple[int, int, int], str]] = {}
    for name, net in nets.items():
        hidden = name.startswith("$")
        text = _readable(name)
        rank = (int(hidden), -text.count("."), len(text))
        for position, bit in enumerate(net["bits"]):
            if isinstance(bit, int) and (bit not in names or rank < names[bit][0]):
                many = len(net["bits"]) > 1 and not hidden
                names[bit] = (rank, f"{text}[{position}]" if many else text)
    return {bit: name for bit, (_, name) in names.items()}


def _readable(name: str) -> str:
    """Return the part of a name that people gave; of a cell or net of the tools, the unit that it is in."""
    if not name.startswith("$"):
        return name.replace("\\", "")
    match = re.match(r"\$flatten((?:\\[\w.]+?\.)+)[$\\]", name)
    return match[1].replace("\\", "").rstrip(".") + ".logic" if match else "logic"


def _general(signal: str) -> str:
    """Return a signal without what tells one instance or bit from another."""
    return re.sub(r"\d+", "#", signal)
