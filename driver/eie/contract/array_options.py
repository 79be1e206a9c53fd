"""The array's parameters as options of a command line, for the commands of the driver and of the hardware."""

from __future__ import annotations

import argparse
from dataclasses import fields, replace

from eie.contract.config import ArrayConfig

_SHORT = {"num_pes": "--pes", "queue_depth": "--queue"}
_HELP = {
    "num_pes": "processing elements",
    "queue_depth": "depth of each PE's activation queue",
    "index_bits": "width of a relative index",
    "entries_per_word": "entries in a word of the sparse-matrix memory",
    "entries": "entries per PE and bank",
    "pointers": "column pointers per PE and bank",
    "rows": "accumulators per PE",
    "activations": "activations held on chip",
    "banks": "banks of the pointer and sparse-matrix memories",
    "codebooks": "codebooks held on chip",
    "first_row": "carry a column's first row in its pointer word",
    "skip_empty": "drop empty columns before the queue",
    "ultra_ram": "keep the entries in UltraRAM (UltraScale+)",
    "balance_rows": "assign rows to PEs by their number of non-zeros",
}


def option_names(field: str) -> tuple[str, ...]:
    """Return the options of a parameter of `ArrayConfig`: a short name, where it has one, and its own."""
    own = f"--{field.replace('_', '-')}"
    return (_SHORT[field], own) if field in _SHORT else (own,)


def option_help(field: str) -> str:
    """Return what a parameter of `ArrayConfig` is."""
    return _HELP.get(field, field.replace("_", " "))


def array_group(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Return a new group for the options of an array, with the choice of the paper's."""
    group = parser.add_argument_group("array", "parameters of the EIE array; see eie.ArrayConfig")
    group.add_argument("--paper", action="store_true", help="start from the paper's array, not from the boards'")
    return group


def add_array_options(parser: argparse.ArgumentParser) -> None:
    """Add an option for every parameter of the array; `array_config` reads them."""
    group = array_group(parser)
    default = ArrayConfig()
    for field in fields(ArrayConfig):
        value = getattr(default, field.name)
        names = option_names(field.name)
        text = f"{option_help(field.name)} (default: {'yes' if value is True else value})"
        if isinstance(value, bool):
            group.add_argument(*names, dest=field.name, action=argparse.BooleanOptionalAction, help=text)
        else:
            group.add_argument(*names, dest=field.name, type=int, metavar="N", help=text)


def array_config(args: argparse.Namespace, base: ArrayConfig | None = None) -> ArrayConfig:
    """Return the array that the options ask for; what they leave open is that of `base`, by default the boards'."""
    given = {field.name: getattr(args, field.name) for field in fields(ArrayConfig)}
    base = ArrayConfig.paper() if args.paper else base or ArrayConfig()
    return replace(base, **{name: value for name, value in given.items() if value is not None})
