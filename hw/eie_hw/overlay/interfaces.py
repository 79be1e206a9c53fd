"""What Vivado's block design must know about the ports of the top entity, as VHDL attributes.

Vivado groups ports into interfaces by their names; which clock and reset belong to them is stated here, for with AXI at
least the clock must be (AMD UG994, "Inferring Control Signals in a RTL Module"). The attributes stand in the
architecture, where Vivado reads them (UG994, "HDL Parameters for Interface Inference", "General Usage"). VHDL itself
wants attributes of ports in the entity; GHDL takes them in the architecture with `--std=93c` or `-frelaxed`.
"""

from __future__ import annotations

import re
from pathlib import Path

from eie.errors import EieError

INTERFACES = ("s_axis", "m_axis", "s_axi")
CLOCK, RESET, INTERRUPT = "aclk", "aresetn", "interrupt"

_PORTS = {
    CLOCK: ("clock:1.0 aclk CLK", f"ASSOCIATED_BUSIF {':'.join(INTERFACES)}, ASSOCIATED_RESET {RESET}"),
    RESET: ("reset:1.0 aresetn RST", "POLARITY ACTIVE_LOW"),
    INTERRUPT: ("interrupt:1.0 interrupt INTERRUPT", "SENSITIVITY LEVEL_HIGH"),
}


def declare_interfaces(file: Path, entity: str) -> None:
    """Add the attributes to the architecture of an entity in a VHDL file.

    Raises
    ------
    EieError
        If the file has not just one architecture of the entity.
    """
    text = file.read_text(encoding="utf-8")
    found = list(re.finditer(rf"^architecture \w+ of {entity} is$", text, re.MULTILINE | re.IGNORECASE))
    if len(found) != 1:
        raise EieError(
            f"{file.name}: has {len(found)} architectures of {entity}, must be 1; the converter has changed: "
            "tell the project"
        )
    lines = ["", "    attribute x_interface_info: string;", "    attribute x_interface_parameter: string;"]
    for port, (info, parameter) in _PORTS.items():
        lines.append(f'    attribute x_interface_info of {port}: signal is "xilinx.com:signal:{info}";')
        lines.append(f'    attribute x_interface_parameter of {port}: signal is "{parameter}";')
    end = found[0].end()
    file.write_text(text[:end] + "\n".join(lines) + text[end:], encoding="utf-8")
