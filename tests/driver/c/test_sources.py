"""The C sources: generated constants up to date, no warning on any processor, no finding of the analyser."""

import subprocess
from pathlib import Path

import pytest

from eie.program.c_header import c_header
from tests.driver.c.bridge import HERE, PROCESSORS, SOURCES, STRICT

ALL = sorted([*SOURCES.rglob("*.c"), *HERE.glob("*.c")])


def test_constants_are_those_of_the_contract():
    text = (SOURCES / "eie_contract.h").read_text(encoding="utf-8")
    stale = "driver/c/eie_contract.h is out of date: python -m eie.program.c_header > driver/c/eie_contract.h"
    assert text == c_header(), stale


@pytest.mark.parametrize("processor", PROCESSORS)
@pytest.mark.parametrize("source", ALL, ids=lambda path: path.name)
@pytest.mark.parametrize("level", ["-O0", "-O3"])
def test_the_strictest_warnings_find_nothing(processor, source, level):
    described = PROCESSORS[processor]
    if described.missing:
        pytest.skip(f"{described.missing} is not installed: warnings for {processor} are not looked at")
    analyser = ["-fanalyzer"] if processor == "here" and level == "-O0" else []
    command = [
        described.compiler,
        *STRICT,
        *analyser,
        level,
        f"-I{SOURCES}",
        f"-I{SOURCES}/examples",
        "-c",
        str(source),
        "-o",
        "/dev/null",
    ]
    made = subprocess.run(command, capture_output=True, text=True)
    assert (made.returncode, made.stderr) == (0, "")


def test_the_runtime_allocates_nothing_and_prints_nothing(tmp_path):
    """Whatever it calls of the C library is in <string.h>."""
    if PROCESSORS["here"].missing:
        pytest.skip("gcc is not installed")
    made = Path(tmp_path / "eie.o")
    subprocess.run(["gcc", "-O2", "-c", str(SOURCES / "eie.c"), "-o", str(made)], check=True)
    undefined = subprocess.run(["nm", "-u", str(made)], check=True, capture_output=True, text=True).stdout
    called = {line.split()[-1] for line in undefined.splitlines()} - {"__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_"}
    assert called <= {"memcpy", "memset", "memcmp", "strlen"}, called
