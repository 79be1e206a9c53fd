"""The build of an overlay: a directory that any machine with Vivado builds with one command, and the build itself."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from eie.atomic import make_folder
from eie.boards.board import Board
from eie.boards.fpga import device_of
from eie.errors import EieError
from eie_hw.conversion.convert import convert
from eie_hw.overlay import run_here
from eie_hw.overlay.analyser import mark_signals
from eie_hw.overlay.block_design import TOP
from eie_hw.overlay.interfaces import declare_interfaces
from eie_hw.overlay.run_here import SCRIPT
from eie_hw.overlay.script import BuildOptions, build_script, description
from eie_hw.overlay.vivado import Vivado, VivadoError, check_version, run_build

SOURCES, RUNNER = "vhdl", "build.py"
ENDINGS = ("bit", "hwh", "json")


@dataclass(frozen=True)
class Plan:
    """What a build will do.

    Parameters
    ----------
    board : Board
    directory : Path
        Where sources, scripts and results go.
    vivado : Vivado or None
        None: the directory is left for another machine.
    options : BuildOptions
    """

    board: Board
    directory: Path
    vivado: Vivado | None = None
    options: BuildOptions = field(default_factory=BuildOptions)

    @property
    def results(self) -> list[Path]:
        """The files of the overlay."""
        return [self.directory / f"{self.board.overlay_name}.{ending}" for ending in ENDINGS]

    @property
    def command(self) -> str:
        """The one command that builds the directory."""
        return shlex.join(["python", str(self.directory / RUNNER)])

    def to_dict(self) -> dict[str, object]:
        """Return the plan as values that JSON can hold."""
        vivado = self.vivado and {"executable": str(self.vivado.executable), "version": self.vivado.version}
        return {
            **description(self.board),
            "directory": str(self.directory),
            "command": self.command,
            "results": [str(path) for path in self.results],
            "vivado": vivado,
            "vivado_wanted": self.board.vivado_version,
            "options": asdict(self.options),
        }


def prepare(plan: Plan, converter: Callable[..., list[Path]] = convert) -> list[Path]:
    """Write the directory: VHDL, Tcl script, the Python script that runs it. What it had by these names is replaced.

    Parameters
    ----------
    plan : Plan
    converter : callable (config, directory, target=) -> VHDL files in the order of compilation

    Returns
    -------
    list of Path
        The VHDL files, the top entity last.

    Raises
    ------
    EieError
        If the conversion fails or the directory cannot be written; it is then as it was, or without build.py.
    """
    make_folder(plan.directory)
    try:
        with tempfile.TemporaryDirectory(dir=plan.directory, prefix=".partial-") as name:
            scratch = Path(name)
            target = device_of(plan.board.part).family
            converted = converter(plan.board.config, scratch / SOURCES, target=target)
            files = [path.relative_to(scratch) for path in converted]
            declare_interfaces(scratch / files[-1], TOP)
            if plan.options.analyser:
                mark_signals(converted)
            script = build_script(plan.board, [path.as_posix() for path in files], plan.options)
            (scratch / SCRIPT).write_text(script, encoding="ascii")
            shutil.copyfile(run_here.__file__, scratch / RUNNER)
            # build.py goes first and comes last: a directory that has it is whole.
            (plan.directory / RUNNER).unlink(missing_ok=True)
            shutil.rmtree(plan.directory / SOURCES, ignore_errors=True)
            for part in (SOURCES, SCRIPT, RUNNER):
                os.replace(scratch / part, plan.directory / part)
    except OSError as error:
        raise EieError(f"{plan.directory}: cannot be written ({error.strerror or error}); choose another") from error
    return [plan.directory / path for path in files]


def build(plan: Plan) -> dict[str, object]:
    """Run Vivado on a prepared directory.

    Returns
    -------
    dict
        The .json beside the overlay: what was built, the Vivado version, the slacks in ns.

    Raises
    ------
    VivadoError
        If there is no Vivado, it is too old, it fails, or the timing is not met; there is no overlay then.
    """
    if plan.vivado is None:
        raise VivadoError(f"there is no Vivado; on a machine that has one: {plan.command}")
    check_version(plan.vivado, plan.board)
    run_build(plan.vivado, plan.directory)
    missing = [str(path) for path in plan.results if not path.is_file()]
    if missing:
        raise VivadoError(f"Vivado reports success, but there is no {', '.join(missing)}")
    return json.loads(plan.results[-1].read_text(encoding="utf-8"))
