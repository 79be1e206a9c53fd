"""What Vivado's block design must know about the ports of the top entity, as VHDL attributes.

Vivado groups ports into interfaces by their names; which clock and reset belong to them is stated here, for with AXI at
least the clock must be (AMD UG994, "Inferring Control Signals in a RTL Module").
"""

from __future__ import annotations

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
    """Add the attributes to an entity in a VHDL file; `EieError` if the file has not just one such entity."""
    text = file.read_text(encoding="utf-8")
    end = f"end entity {entity};"
    if text.count(end) != 1:
        raise EieError(f"{file.name}: has {text.count(end)} times {end!r}, must be 1; the converter has changed")
    lines = ["", "    attribute x_interface_info: string;", "    attribute x_interface_parameter: string;"]
    for port, (info, parameter) in _PORTS.items():
        lines.append(f'    attribute x_interface_info of {port}: signal is "xilinx.com:signal:{info}";')
        lines.append(f'    attribute x_interface_parameter of {port}: signal is "{parameter}";')
    file.write_text(text.replace(end, "\n".join([*lines, end])), encoding="utf-8")
