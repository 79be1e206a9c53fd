"""Vivado on this machine: where it is, which release, and running a script in it."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from eie.boards.board import Board
from eie.errors import EieError
from eie_hw.overlay import run_here
from eie_hw.overlay.run_here import LOG


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
    if path is None and shutil.which("vivado") is None:
        return None
    try:
        found = run_here.find(path)
        run = subprocess.run([str(found), "-version"], capture_output=True, text=True, errors="replace", timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise VivadoError(str(error)) from error
    match = re.search(r"vivado\s+v?(\d{4}\.\d+(?:\.\d+)?)", run.stdout, re.IGNORECASE)
    if run.returncode or not match:
        raise VivadoError(f"{found} -version does not tell a version; run it by hand to see why")
    return Vivado(found, match[1])


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


def run_build(vivado: Vivado, directory: Path) -> None:
    """Run the script of a build directory; what Vivado prints goes to vivado.log, reports and logs to an archive.

    Raises
    ------
    VivadoError
        If it fails; the message holds the errors of the log.
    """
    try:
        code = run_here.run(vivado.executable, directory, echo=False)
    except OSError as error:
        raise VivadoError(str(error)) from error
    if code:
        log = directory / LOG
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        errors = [line for line in lines if line.startswith("ERROR")] or lines[-5:]
        archive = run_here.archive_of(directory)
        raise VivadoError(
            f"Vivado failed with exit code {code}; {log}, reports and logs in {archive}:\n"
            + "\n".join(f"  {e}" for e in errors[-10:])
        )
