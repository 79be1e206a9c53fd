#!/usr/bin/env python3
"""Builds the overlay in this directory with Vivado: python build.py [--vivado PATH] (Python 3.8 or newer, any system).

Whatever happens, reports and logs are then in one archive, reports.zip. Needs nothing outside this directory.
"""

import argparse
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

# A copy of this file is the build.py of every build directory, so it imports nothing of the project.

SCRIPT, LOG = "build.tcl", "vivado.log"
LONGEST_WINDOWS_PATH = 80
"""Characters: Vivado's own paths below it are up to 160 long, and Windows ends at 260 (AMD answer record 52787)."""

_COLLECTED = ("reports/**/*", "*.log", "*.json", SCRIPT, "vivado*/*.runs/*/runme.log", "vivado*/*.runs/*/*.vds")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--vivado", default=os.environ.get("VIVADO"), help="its executable or directory")
    options = parser.parse_args(arguments)
    try:
        code = run(find(options.vivado), Path(__file__).parent)
    except OSError as error:
        print(f"build.py: error: {error}", file=sys.stderr)
        return 1
    return code


def find(path=None):
    """Return Vivado's executable: the one at a path, or the one on PATH; OSError if there is none."""
    if path is None:
        found = shutil.which("vivado")
        if found is None:
            raise OSError(
                "vivado is not on PATH: source Vivado's settings64.sh (Windows: run settings64.bat), "
                "give its path with --vivado, or set VIVADO"
            )
        return Path(found).absolute()
    names = ("vivado.bat", "vivado") if os.name == "nt" else ("vivado",)
    for candidate in (Path(path), *(Path(path) / "bin" / name for name in names)):
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate.absolute()
    raise OSError(f"{path}: neither an executable nor a directory with bin/vivado; give Vivado's own path")


def run(vivado, directory, echo=True):
    """Run build.tcl of a directory in batch mode; collect reports and logs; return Vivado's exit code."""
    directory = Path(directory).absolute()
    if os.name == "nt" and len(str(directory)) > LONGEST_WINDOWS_PATH:
        raise OSError(f"{directory} has {len(str(directory))} characters; move it where it has {LONGEST_WINDOWS_PATH}")
    command = [str(vivado), "-mode", "batch", "-nojournal", "-nolog", "-source", SCRIPT]
    try:
        with (directory / LOG).open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                command,
                cwd=str(directory),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
            )
            for line in process.stdout:
                log.write(line)
                log.flush()
                if echo:
                    print(line, end="", flush=True)
            code = process.wait()
    finally:
        archive = collect(directory)
    if echo:
        print(f"reports and logs: {archive}")
    return code


def collect(directory):
    """Put reports and logs of a build into one archive beside them; return its path."""
    archive = archive_of(directory)
    partial = archive.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as file:
        for pattern in _COLLECTED:
            for path in sorted(directory.glob(pattern)):
                if path.is_file():
                    file.write(path, path.relative_to(directory))
    os.replace(partial, archive)
    return archive


def archive_of(directory):
    """Return the path of the archive of a build's reports and logs."""
    return Path(directory) / "reports.zip"


if __name__ == "__main__":
    sys.exit(main())
