"""What a synthesised array uses of a device, per unit and in total, against the device's limits and a budget."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path

from eie.boards.resources import BESIDES_RAMB36
from eie.contract.config import ArrayConfig
from eie.errors import DeviceError
from eie_hw.conversion.convert import TOP, convert
from eie_hw.estimates.synthesis import synthesise

BUDGET_FILE = Path(__file__).with_name("budget.json")

# LUTs that a cell occupies on a 7-series (AMD UG474, UG953) or UltraScale+ device (UG574, UG974).
_LOGIC = {**{f"LUT{inputs}": 1 for inputs in range(1, 7)}, "INV": 1}
_MEMORY = {
    **{"RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4},
    **{"RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM32M": 4, "RAM64M": 4},
    **{"RAM512X1S": 8, "RAM256X1D": 8, "RAM32M16": 8, "RAM64M8": 8},
}
_SHIFT = {"SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1}
_FLIP_FLOPS = dict.fromkeys(("FDRE", "FDSE", "FDCE", "FDPE"), 1)
_RAMB18 = {"RAMB18E1": 1, "RAMB36E1": 2, "RAMB18E2": 1, "RAMB36E2": 2}
_OTHER = {
    **{"DSP48E1": "dsps", "DSP48E2": "dsps", "CARRY4": "carry", "CARRY8": "carry"},
    **{"MUXF7": "muxf", "MUXF8": "muxf", "MUXF9": "muxf", "URAM288": "ultra_rams"},
}
_FREE = {"$scopeinfo", "VCC", "GND"}


@dataclass(frozen=True)
class Usage:
    """Resources of a 7-series or UltraScale+ device.

    Parameters
    ----------
    logic_luts, memory_luts, shift_luts : int
        LUTs as logic, as distributed RAM, as shift registers (SRL).
    flip_flops, ramb18, dsps, carry, muxf, ultra_rams : int
        `ramb18` counts halves: a RAMB36 is two. `carry` counts CARRY4 or CARRY8, `muxf` MUXF7 to MUXF9.
    """

    logic_luts: int = 0
    memory_luts: int = 0
    shift_luts: int = 0
    flip_flops: int = 0
    ramb18: int = 0
    dsps: int = 0
    carry: int = 0
    muxf: int = 0
    ultra_rams: int = 0

    @property
    def luts(self) -> int:
        """All LUTs: logic, distributed RAM and shift registers."""
        return self.logic_luts + self.memory_luts + self.shift_luts

    @property
    def slicem_luts(self) -> int:
        """LUTs that only the slices called SLICEM have: distributed RAM and shift registers."""
        return self.memory_luts + self.shift_luts

    @property
    def ramb36(self) -> float:
        """RAMB36 equivalents: a RAMB18 is half a one."""
        return self.ramb18 / 2

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Usage)))

    def __mul__(self, count: int) -> Usage:
        return Usage(*(getattr(self, f.name) * count for f in fields(Usage)))


BESIDES = Usage(logic_luts=2_300, memory_luts=450, flip_flops=4_000, ramb18=2 * BESIDES_RAMB36)
"""What the block design holds besides the array: AXI DMA without scatter-gather, two interconnects, reset.

A round estimate, on the high side, for want of a published report of this very design; AMD PG021 and PG059 have the
ranges. The first build in Vivado will tell.
"""


@dataclass(frozen=True)
class Unit:
    """One kind of entity: how many there are, and what one uses without the entities inside it."""

    name: str
    instances: int
    usage: Usage


def utilisation(
    config: ArrayConfig, directory: str | Path, top: str = TOP, hdl: str = "VHDL", family: str = "xc7"
) -> list[Unit]:
    """Convert an array, synthesise it and count what each unit uses.

    Parameters
    ----------
    config : ArrayConfig
    directory : path
        Where the converted files go.
    top : str
        The entity to begin at; the whole array by default.
    hdl : {"VHDL", "Verilog"}
        VHDL is what a board is built from, and needs GHDL.
    family : {"xc7", "xcup"}
        7-series or UltraScale+.
    """
    return count_units(synthesise(convert(config, directory, hdl, family), top, family), top)


def count_units(modules: dict[str, dict[str, int]], top: str) -> list[Unit]:
    """Return the units at or below `top`, the largest in total first, from each module's cells by type."""
    instances: Counter[str] = Counter()

    def visit(name: str, count: int) -> None:
        instances[name] += count
        for cell, number in modules[name].items():
            if cell in modules:
                visit(cell, count * number)

    visit(top, 1)
    units = [
        Unit(name, count, usage_of({cell: n for cell, n in modules[name].items() if cell not in modules}))
        for name, count in instances.items()
    ]
    return sorted(units, key=lambda unit: (-unit.instances * unit.usage.luts, unit.name))


def usage_of(cells: dict[str, int]) -> Usage:
    """Return what cells use; `DeviceError` names a cell whose cost is not known, so that none goes uncounted."""
    sums: Counter[str] = Counter()
    costs = {
        "logic_luts": _LOGIC,
        "memory_luts": _MEMORY,
        "shift_luts": _SHIFT,
        "flip_flops": _FLIP_FLOPS,
        "ramb18": _RAMB18,
        **{kind: {cell: 1 for cell, its_kind in _OTHER.items() if its_kind == kind} for kind in set(_OTHER.values())},
    }
    for cell, number in cells.items():
        kinds = [(kind, cost[cell]) for kind, cost in costs.items() if cell in cost]
        if not kinds and cell not in _FREE:
            raise DeviceError(
                f"synthesis used {number} cells {cell!r} of unknown cost; add it to eie_hw.estimates.utilisation"
            )
        for kind, cost in kinds:
            sums[kind] += cost * number
    return Usage(**sums)


def total(units: list[Unit]) -> Usage:
    """Return what all units use together."""
    return sum((unit.usage * unit.instances for unit in units), Usage())


def load_budget(path: Path = BUDGET_FILE) -> dict:
    """Return the budget: the configuration's limits in `total`, and LUTs of one instance in `units`."""
    return json.loads(path.read_text(encoding="utf-8"))


def exceeded_units(units: list[Unit], budget: dict) -> list[str]:
    """Return a sentence for every unit that uses more LUTs than its budget, or that has none."""
    sentences = []
    for unit in units:
        limit = budget["units"].get(unit.name)
        if limit is None:
            sentences.append(f"{unit.name} uses {unit.usage.luts} LUTs and has no budget in {BUDGET_FILE.name}")
        elif unit.usage.luts > limit:
            sentences.append(f"{unit.name} uses {unit.usage.luts} LUTs, its budget is {limit}")
    return sentences


def exceeded_limits(usage: Usage, limits: dict[str, int], of: str) -> list[str]:
    """Return a sentence for every limit (`luts`, `flip_flops`, `ramb36` ...) that a usage exceeds."""
    names = {
        "luts": "LUTs",
        "slicem_luts": "LUTs as memory",
        "flip_flops": "flip-flops",
        "ramb36": "RAMB36 equivalents",
        "dsps": "DSP slices",
        "ultra_rams": "UltraRAMs",
    }
    return [
        f"{getattr(usage, name):g} {names[name]}: {of} allows {limit}"
        for name, limit in limits.items()
        if getattr(usage, name) > limit
    ]
