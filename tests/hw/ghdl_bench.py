"""Plays scripts on the converted VHDL: GHDL under cocotb, with the bus models of cocotbext-axi."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

from cocotb_tools.runner import get_runner
from scripts import Script

from eie import ArrayConfig
from eie_hw.conversion.convert import TOP, convert

VHDL_93 = "--std=93c"


class GhdlBench:
    """Converts and analyses an array once, then plays any number of scripts on it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._builds: dict[ArrayConfig, tuple] = {}

    def __call__(self, script: Script, pause: float = 0.0) -> dict:
        runner, directory = self._build(script.config)
        script_file, result_file = directory / "script.pickle", directory / "results.json"
        result_file.unlink(missing_ok=True)
        script_file.write_bytes(pickle.dumps({"steps": script.steps, "pause": pause}))
        runner.test(
            test_module="cocotb_machine",
            hdl_toplevel=TOP,
            build_dir=directory / "build",
            test_dir=directory,
            test_args=[VHDL_93, f"--workdir={directory / 'build'}"],
            # The bus models drive X while nothing is valid; a result that depended on it would be X too.
            plusargs=["--ieee-asserts=disable"],
            extra_env={
                "EIE_SCRIPT": str(script_file),
                "EIE_RESULTS": str(result_file),
                "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
            },
            log_file=directory / "simulation.log",
        )
        assert result_file.exists(), (directory / "simulation.log").read_text()[-3000:]
        return json.loads(result_file.read_text())

    def _build(self, config: ArrayConfig) -> tuple:
        if config not in self._builds:
            directory = self._directory / f"array{len(self._builds)}"
            files = convert(config, directory / "vhdl", "VHDL")
            runner = get_runner("ghdl")
            runner.build(sources=files, hdl_toplevel=TOP, build_args=[VHDL_93], build_dir=directory / "build")
            self._builds[config] = runner, directory
        return self._builds[config]
