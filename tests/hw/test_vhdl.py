"""The converted VHDL, simulated by GHDL under third-party bus models, gives what the emulation gives."""

import json
import logging
import os
import pickle
import re
import shutil
from pathlib import Path

import pytest
from eie import ArrayConfig
from eie_hw.convert import TOP, convert

import scripts

pytest.importorskip("cocotb")
pytest.importorskip("cocotbext.axi")
if not shutil.which("ghdl"):
    pytest.skip("GHDL is not installed", allow_module_level=True)

VHDL_93 = "--std=93c"
RESET_NS = 300
"""Reset as cocotb_machine.py applies it, and the reset inside the machine."""
CONFIGS = {
    1: ArrayConfig(num_pes=1, entries=64, pointers=16, rows=8, activations=64, banks=1, codebooks=2),
    4: ArrayConfig(num_pes=4, entries=128, pointers=32, rows=8, activations=64, queue_depth=4),
    16: ArrayConfig(num_pes=16, entries=256, pointers=64, rows=8, activations=256, index_bits=4, entries_per_word=4),
    64: ArrayConfig(num_pes=64, entries=512, pointers=256, rows=16, activations=1024),
}
PAPER_LIKE = ArrayConfig(
    num_pes=4, entries=128, pointers=32, rows=8, activations=64, index_bits=4, first_row=False, skip_empty=False
)


@pytest.fixture(scope="session")
def simulate(tmp_path_factory):
    """Return a function that plays a script on the VHDL of its array."""
    from cocotb_tools.runner import get_runner

    builds: dict[ArrayConfig, tuple] = {}

    def build(config):
        if config not in builds:
            directory = tmp_path_factory.mktemp("vhdl")
            files = convert(config, directory / "vhdl", "VHDL")
            runner = get_runner("ghdl")
            runner.build(sources=files, hdl_toplevel=TOP, build_args=[VHDL_93], build_dir=directory / "build")
            builds[config] = runner, directory
        return builds[config]

    def play(script, pause=0.0):
        runner, directory = build(script.config)
        script_file, result_file = directory / "script.pickle", directory / "results.json"
        result_file.unlink(missing_ok=True)
        script_file.write_bytes(pickle.dumps({"steps": script.steps, "pause": pause}))
        runner.test(
            test_module="cocotb_machine",
            hdl_toplevel=TOP,
            build_dir=directory / "build",
            test_dir=directory,
            test_args=[VHDL_93, f"--workdir={directory / 'build'}"],
            plusargs=["--ieee-asserts=disable-at-0"],
            extra_env={
                "EIE_SCRIPT": str(script_file),
                "EIE_RESULTS": str(result_file),
                "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
            },
            log_file=directory / "simulation.log",
        )
        log = (directory / "simulation.log").read_text()
        assert result_file.exists(), log[-3000:]
        undefined = [time for time in re.findall(r"@(\d+)ns:.*metavalue", log) if int(time) > RESET_NS]
        assert not undefined, f"something undefined is looked at from {undefined[0]} ns on"
        return json.loads(result_file.read_text())

    logging.getLogger("cocotb").setLevel(logging.WARNING)
    return play


@pytest.mark.parametrize("pause", [0, 0.5])
def test_registers_serve_the_description(simulate, pause):
    script = scripts.identity_script(CONFIGS[4])
    script.check(simulate(script, pause))


@pytest.mark.full
@pytest.mark.parametrize("pes", [1, 4, 16])
@pytest.mark.parametrize("pause", [0, 0.4])
def test_random_programs_of_every_instruction_equal_the_emulation(simulate, pes, pause):
    script = scripts.program_script(CONFIGS[pes], seed=pes, programs=4)
    script.check(simulate(script, pause))


@pytest.mark.full
def test_sixty_four_pes_equal_the_emulation(simulate):
    script = scripts.program_script(CONFIGS[64], seed=64, programs=1, length=15)
    script.check(simulate(script, 0.1))


def test_the_paper_arrays_choices_equal_the_emulation(simulate):
    script = scripts.program_script(PAPER_LIKE, seed=5, programs=2, length=15)
    script.check(simulate(script, 0.3))


@pytest.mark.full
@pytest.mark.parametrize("pes", [1, 4, 16])
def test_every_error_is_reported_and_recovered_from(simulate, pes):
    script = scripts.error_script(CONFIGS[pes], seed=pes)
    script.check(simulate(script, 0.2))


@pytest.mark.full
@pytest.mark.parametrize("pes", [1, 4, 16])
def test_resets_in_the_middle_leave_the_next_program_right(simulate, pes):
    script = scripts.reset_script(CONFIGS[pes], seed=pes, resets=6)
    script.check(simulate(script, 0.2))
