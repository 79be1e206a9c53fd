"""The build of an overlay: a directory that any machine with Vivado builds with one command, and the build itself."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from eie.atomic import make_folder
from eie.boards.board import Board
from eie.contract.config import ArrayConfig
from eie.errors import EieError
from eie_hw.conversion.convert import convert
from eie_hw.overlay.block_design import TOP
from eie_hw.overlay.interfaces import declare_interfaces
from eie_hw.overlay.script import build_script, description
from eie_hw.overlay.vivado import Vivado, VivadoError, check_version, run_script

SOURCES, SCRIPT, SHELL_SCRIPT = "vhdl", "build.tcl", "build.sh"
ENDINGS = ("bit", "hwh", "json")

_SHELL = """\
#!/bin/sh
# Builds the overlay {overlay} for {title} with Vivado {version} or newer.
# {overlay}.bit, .hwh and .json appear here when the timing is met; needs nothing outside this directory.
set -e
cd "$(dirname "$0")"
vivado="${{VIVADO:-vivado}}"
if ! command -v "$vivado" > /dev/null; then
    echo "$vivado is not on PATH: source Vivado's settings64.sh, or set VIVADO to its path" >&2
    exit 1
fi
exec "$vivado" -mode batch -nojournal -log vivado.log -source {script}
"""


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
    jobs : int
        Processes that Vivado may start.
    """

    board: Board
    directory: Path
    vivado: Vivado | None = None
    jobs: int = 4

    @property
    def results(self) -> list[Path]:
        """The files of the overlay."""
        return [self.directory / f"{self.board.overlay_name}.{ending}" for ending in ENDINGS]

    @property
    def command(self) -> str:
        """The one command that builds the directory."""
        return f"sh {self.directory / SHELL_SCRIPT}"

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
        }


def prepare(plan: Plan, converter: Callable[[ArrayConfig, Path], list[Path]] = convert) -> list[Path]:
    """Write the directory: VHDL, Tcl script, shell script. What it had under these names is replaced.

    Parameters
    ----------
    plan : Plan
    converter : callable (config, directory) -> VHDL files in the order of compilation

    Returns
    -------
    list of Path
        The VHDL files, the top entity last.

    Raises
    ------
    EieError
        If the conversion fails or the directory cannot be written; it is then as it was, or without build.sh.
    """
    make_folder(plan.directory)
    try:
        with tempfile.TemporaryDirectory(dir=plan.directory, prefix=".partial-") as name:
            scratch = Path(name)
            files = [path.relative_to(scratch) for path in converter(plan.board.config, scratch / SOURCES)]
            declare_interfaces(scratch / files[-1], TOP)
            script = build_script(plan.board, [path.as_posix() for path in files], plan.jobs)
            (scratch / SCRIPT).write_text(script, encoding="ascii")
            (scratch / SHELL_SCRIPT).write_text(_shell_script(plan.board), encoding="utf-8")
            (scratch / SHELL_SCRIPT).chmod(0o755)
            # build.sh goes first and comes last: a directory that has it is whole.
            (plan.directory / SHELL_SCRIPT).unlink(missing_ok=True)
            shutil.rmtree(plan.directory / SOURCES, ignore_errors=True)
            for part in (SOURCES, SCRIPT, SHELL_SCRIPT):
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
    run_script(plan.vivado, plan.directory / SCRIPT)
    missing = [str(path) for path in plan.results if not path.is_file()]
    if missing:
        raise VivadoError(f"Vivado reports success, but there is no {', '.join(missing)}")
    return json.loads(plan.results[-1].read_text(encoding="utf-8"))


def _shell_script(board: Board) -> str:
    return _SHELL.format(overlay=board.overlay_name, title=board.title, version=board.vivado_version, script=SCRIPT)
