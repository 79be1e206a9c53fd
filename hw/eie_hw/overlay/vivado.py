"""Vivado on this machine: where it is, which release, and running a script in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from eie.boards.board import Board
from eie.errors import EieError

LOG = "vivado.log"


class VivadoError(EieError, RuntimeError):
    """A Vivado that is missing, too old, or that failed."""


@dataclass(frozen=True)
class Vivado:
    """An installed Vivado: its executable and version."""

    executable: Path
    version: str


def release(version: str) -> tuple[int, int]:
    """Return (year, number) of a version such as 2022.1, v2024.1.2; `VivadoError` for other text."""
    match = re.search(r"(\d{4})\.(\d+)", version)
    if not match:
        raise VivadoError(f"{version!r} is no version of Vivado; one reads like 2022.1")
    return int(match[1]), int(match[2])


def find_vivado(path: str | None = None) -> Vivado | None:
    """Return the Vivado on PATH, or the one at `path` (its executable or its directory); None if PATH has none.

    Raises
    ------
    VivadoError
        If there is none at `path`, or it does not tell its version.
    """
    if path is None:
        found = shutil.which("vivado")
    else:
        found = next((str(p) for p in (Path(path), Path(path) / "bin" / "vivado") if _is_executable(p)), None)
        if found is None:
            raise VivadoError(f"{path}: neither an executable nor a directory with bin/vivado; give Vivado's own path")
    if found is None:
        return None
    try:
        run = subprocess.run([found, "-version"], capture_output=True, text=True, errors="replace", timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise VivadoError(f"{found} -version: {error}") from error
    match = re.search(r"vivado\s+v?(\d{4}\.\d+(?:\.\d+)?)", run.stdout, re.IGNORECASE)
    if run.returncode or not match:
        raise VivadoError(f"{found} -version does not tell a version; run it by hand to see why")
    return Vivado(Path(found).absolute(), match[1])


def check_version(vivado: Vivado, board: Board) -> str | None:
    """Return a warning if a Vivado is newer than the build is written for; `VivadoError` if it is older."""
    wanted = release(board.vivado_version)
    if release(vivado.version) < wanted:
        raise VivadoError(
            f"{vivado.executable} is Vivado {vivado.version}; {board.title} needs {board.vivado_version} or newer: "
            "install one, or give another with --vivado"
        )
    if release(vivado.version) > wanted:
        return f"Vivado {vivado.version} is newer than {board.vivado_version}, for which the build is written"
    return None


def run_script(vivado: Vivado, script: Path) -> None:
    """Run a Tcl script in batch mode in its own directory; what Vivado prints goes to vivado.log there.

    Raises
    ------
    VivadoError
        If it fails; the message holds the errors of the log.
    """
    log = script.with_name(LOG)
    with log.open("w", encoding="utf-8") as output:
        code = subprocess.run(
            [str(vivado.executable), "-mode", "batch", "-nojournal", "-nolog", "-source", script.name],
            cwd=script.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ).returncode
    if code:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        errors = [line for line in lines if line.startswith("ERROR")] or lines[-5:]
        raise VivadoError(f"Vivado failed with exit code {code}; {log}:\n" + "\n".join(f"  {e}" for e in errors[-10:]))


def _is_executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
