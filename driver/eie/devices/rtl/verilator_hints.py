"""Hints that make Verilator compile a repeated module once, not once per instance.

Inlined, 64 PEs are 64 copies of the same code, more than a processor's instruction cache holds. Instances share one
function if it reads only variables of its own instance and of the top. So the modules are kept apart, and an input that
is connected differently from instance to instance is kept as a variable of the instance: `public_flat_rd`, since
Verilator would otherwise put the parent's expression in its place. It needs two optimisations left out
(`OPTIONS`): `-fno-dfg`, for one across instances makes them differ, and `-fno-table`, for a table's index has a name of
its own in each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

OPTIONS = ("-fno-dfg", "-fno-table")
SHARED = ("cluster", "processing_element")
"""Modules that hold nearly all of the logic of an array."""

_CONNECTION = re.compile(r"\.(\w+)\((.*)\)")
_INPUT = re.compile(r"^input (?:\[[^]]*\] )?(\w+);", re.MULTILINE)


def hints(sources: Iterable[Path]) -> str:
    """Return a Verilator control file for converted Verilog.

    Parameters
    ----------
    sources : iterable of Path
        The files, one module each, named as the module.
    """
    texts = {path.stem: path.read_text() for path in sources}
    lines = ["`verilator_config"]
    for module in SHARED:
        lines.append(f'no_inline -module "{module}"')
        inputs = set(_INPUT.findall(texts[module]))
        differing = _differing(module, texts.values()) & inputs
        if any(re.search(rf"^{module} \w+ \(", texts[above], re.MULTILINE) for above in SHARED):
            # A register of the shared module above it is another one in each of that module's instances.
            differing = inputs - {"clk"}
        lines += [f'public_flat_rd -module "{module}" -var "{port}"' for port in sorted(differing)]
    return "\n".join(lines) + "\n"


def _differing(module: str, texts: Iterable[str]) -> set[str]:
    """Return the ports whose connections are not the same in all instances of a module."""
    instance = re.compile(rf"^{module} \w+ \((.*?)^\);", re.MULTILINE | re.DOTALL)
    connections: dict[str, set[str]] = {}
    for text in texts:
        for ports in instance.findall(text):
            for port, expression in _CONNECTION.findall(ports):
                connections.setdefault(port, set()).add(expression)
    return {port for port, expressions in connections.items() if len(expressions) > 1}
