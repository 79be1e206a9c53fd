#!/usr/bin/env python3
"""Write docs/overlay-transcripts.md: what a user of scripts/build_overlay.py sees, for every board.

The script itself is run, with the real conversion; a stub stands in for Vivado, as in the tests. Takes some minutes.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.hw.overlay_bench import install_stub  # noqa: E402

from eie.atomic import replacing  # noqa: E402
from eie.boards.board import board, board_names  # noqa: E402
from eie.contract.config import ArrayConfig  # noqa: E402
from eie_hw.conversion.convert import convert  # noqa: E402
from eie_hw.overlay.build import prepare  # noqa: E402

PAGE = ROOT / "docs" / "overlay-transcripts.md"
SHOWN_VIVADO = "/opt/Xilinx/Vivado/2022.1/bin/vivado"
"""What the stub's path is replaced by."""

_INTRODUCTION = """\
# What the build of an overlay prints

Written by `python scripts/overlay_transcripts.py`, which runs the command of [overlay.md](overlay.md) for each board; a
test compares. **No Vivado was available:** where there is one below, it is the recording stub of the tests
(`tests/hw/vivado_stub.tcl`), which takes no time and reports made-up slacks; its path is replaced.
"""

Converter = Callable[..., list[Path]]


def page(converter: Converter) -> str:
    """Return the page, with the VHDL that `converter` writes."""
    parts = [_INTRODUCTION]
    for name in board_names():
        parts += [f"## {board(name).title}", "Without Vivado:", _transcript(name, converter, vivado=False)]
        parts += ["With Vivado (the stub):", _transcript(name, converter, vivado=True)]
    name = "pynq-z2"
    parts += ["## When something is wrong", "The timing is not met; there is no `.bit`, `.hwh` or `.json` then:"]
    parts += [_transcript(name, converter, vivado=True, STUB_WNS="-0.217")]
    parts += ["With `--slower` it is published for the highest clock that meets it:"]
    parts += [_transcript(name, converter, True, "--slower", STUB_WNS="-0.217")]
    parts += ["The array does not fit, which is known after synthesis:"]
    parts += [_transcript(name, converter, True, STUB_LUTRAM="18100")]
    parts += ["The board's PLL does not give that clock:", _transcript(name, converter, True, "--clock-mhz", "120")]
    parts += ["Vivado is too old; nothing is written:", _transcript(name, converter, True, STUB_VERSION="2021.2")]
    parts += ["The directory is built on a machine where Vivado is not on PATH:", _runner_transcript(name, converter)]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _transcript(name: str, converter: Converter, vivado: bool, *options: str, **environment: str) -> str:
    """Return what the command prints, stdout and stderr as they come, and its exit code if it is not 0."""
    with _workplace(vivado, environment) as stub:
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            code = _command(converter)(["--board", name, *options])
        return _block(
            " ".join(["python scripts/build_overlay.py --board", name, *options]), output.getvalue(), code, stub
        )


def _runner_transcript(name: str, converter: Converter) -> str:
    with _workplace(False, {}) as stub:
        with contextlib.redirect_stdout(io.StringIO()):
            _command(converter)(["--board", name])
        run = subprocess.run(
            [sys.executable, f"overlay-{name}/build.py"],
            cwd="out",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return _block(f"python overlay-{name}/build.py", run.stdout, run.returncode, stub)


def _command(converter: Converter) -> Callable[[list[str]], int]:
    """Return the main function of scripts/build_overlay.py, with a converter of our choice."""
    spec = importlib.util.spec_from_file_location("build_overlay", ROOT / "scripts" / "build_overlay.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vars(module)["prepare"] = lambda plan: prepare(plan, converter)
    return module.main


@contextlib.contextmanager
def _workplace(vivado: bool, environment: dict[str, str]) -> Iterator[Path]:
    """Work in an empty directory with a plain PATH, and with the stub on it if there is to be a Vivado."""
    before, outside = Path.cwd(), dict(os.environ)
    with tempfile.TemporaryDirectory() as name:
        stub = install_stub(Path(name) / "bin")
        path = ["/usr/bin", "/bin"]
        os.environ.update(environment, PATH=os.pathsep.join([str(stub.parent), *path] if vivado else path))
        (Path(name) / "work").mkdir()
        os.chdir(Path(name) / "work")
        try:
            yield stub
        finally:
            os.chdir(before)
            os.environ.clear()
            os.environ.update(outside)


def _block(command: str, output: str, code: int, stub: Path) -> str:
    """Return a terminal's content as an indented block."""
    lines = [f"$ {command}", *output.replace(str(stub), SHOWN_VIVADO).splitlines()]
    if code:
        lines += ["$ echo $?", str(code)]
    return "\n".join(f"    {line}".rstrip() for line in lines)


def without_counts(text: str) -> str:
    """Return a page without the numbers of VHDL files, the only ones that depend on the conversion."""
    return re.sub(r"written: \d+ VHDL files", "written: VHDL files", text)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:

        @functools.cache
        def converted(config: ArrayConfig, target: str) -> list[Path]:
            return convert(config, Path(tempfile.mkdtemp(dir=name)), target=target)

        def copied(config: ArrayConfig, directory: Path, target: str) -> list[Path]:
            directory.mkdir(parents=True)
            return [Path(shutil.copy(path, directory)) for path in converted(config, target)]

        text = page(copied)
    with replacing(PAGE) as partial:
        Path(partial).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
