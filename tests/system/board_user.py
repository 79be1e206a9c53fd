"""What the user of a board does after the installation, step by step; run by scripts/check_board.sh.

There is no pytest where this runs: a step that goes wrong ends it with an AssertionError or the failed command.
"""

import os
import subprocess
import sys
import warnings
from importlib import metadata
from pathlib import Path

BIN = Path(sys.executable).parent
NOTEBOOKS = ["1_quick_start.ipynb", "2_compress_your_network.ipynb", "3_look_inside.ipynb", "4_convolutions.ipynb"]
WITH_ONNX = ["5_voice_activity.ipynb", "6_quantised_network.ipynb"]
"""They read ONNX files, which no board's image can; they say so."""

# None of these comes with the package; what pynq, matplotlib and Jupyter need does, and is on the images.
UNWANTED = {"scipy", "numba", "kmeans1d", "onnx", "safetensors", "torch", "pytest", "hypothesis", "myhdl", "cocotb"}


RUN_NOTEBOOK = """
import sys
import nbclient, nbformat
book = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(book, timeout=600, kernel_name="python3").execute()
outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
print("".join(output.get("text", "") for output in outputs))
print("figures:", sum("image/png" in output.get("data", {}) for output in outputs))
"""


def main(source: Path) -> None:
    check_installation(source)
    check_commands()
    check_driver_discovery()
    folder = deliver_notebooks()
    for name in NOTEBOOKS:
        run_notebook(folder / name)
    for name in WITH_ONNX:
        assert "is not to be had here: the rest is left out" in python(RUN_NOTEBOOK, name, folder=folder)
        tell("left out", name)


def check_installation(source: Path) -> None:
    """The package is there, from its own place, with its data, beside numpy and pynq alone."""
    import eie_notebooks
    import eie_overlays

    import eie

    for package in (eie, eie_notebooks, eie_overlays):
        place = Path(package.__file__).parent
        assert "site-packages" in place.parts and not place.is_relative_to(source / "driver"), place
    installed = {distribution.metadata["Name"].lower() for distribution in metadata.distributions()}
    assert {"eie-pynq", "pynq", "numpy"} <= installed and not installed & UNWANTED, installed & UNWANTED
    boards = sorted(path.parent.name for path in Path(eie_overlays.__file__).parent.glob("*/board.json"))
    assert boards == [
        "aup-zu3",
        "kr260",
        "kv260",
        "pynq-z1",
        "pynq-z2",
        "pynq-zu",
        "rfsoc4x2",
        "ultra96v2",
        "zcu104",
    ], boards
    tell(
        "installed", f"eie {eie.__version__} beside pynq {metadata.version('pynq')}, numpy {metadata.version('numpy')}"
    )


def check_commands() -> None:
    """Both commands start, and run a model."""
    from eie.data.mnist import DATA

    assert command("eie", "--version").startswith("eie ")
    assert "300" in command("eie", "info", str(DATA / "lenet-300-100.eie"))
    assert "usage: eie-hw" in command("eie-hw", "--help")
    assert "equal" in command("eie", "verify", str(DATA / "lenet-300-100.eie")).lower()
    tell("commands", "eie, eie-hw")


def check_driver_discovery() -> None:
    """pynq finds the array's driver by itself: nothing but pynq has been imported by the user's program."""
    program = """
import sys
import pynq
from eie.devices.virtual import VirtualBoard
board = VirtualBoard("zcu104" if pynq.__version__.startswith("4") else "pynq-z2")
with board:
    assert "eie.devices.pynq_board.device" not in sys.modules
    overlay = pynq.Overlay(board.bitfile)
    print(type(overlay.eie_top_0).__name__, hex(overlay.eie_top_0.read(0)))
"""
    from eie.contract import registers

    printed = python(program).split()
    assert printed == ["EieArray", hex(registers.MAGIC)], printed
    tell("driver", "pynq.Overlay gives eie_top_0 the driver EieArray")


def deliver_notebooks() -> Path:
    """`pynq get-notebooks` delivers the notebooks; without a board it must be told not to look for one."""
    assert "eie (source: eie_notebooks)" in command("pynq", "get-notebooks", "--list")
    command("pynq", "get-notebooks", "eie", "--ignore-overlays", "--path", "pynq-notebooks")
    folder = Path("pynq-notebooks", "eie")
    delivered = sorted(path.name for path in folder.iterdir())
    assert delivered == NOTEBOOKS + WITH_ONNX, delivered
    tell("notebooks", f"pynq get-notebooks delivers {', '.join(delivered)}")
    return folder


def run_notebook(path: Path) -> None:
    """Every cell of a delivered notebook runs, in its folder, on the virtual board."""
    printed = python(RUN_NOTEBOOK, path.name, folder=path.parent)
    assert "VirtualBoardDevice with" in printed, printed
    assert "DIFFERENT" not in printed and "figures: 0" not in printed, printed
    assert "verified" in printed or "equal" in printed, printed
    tell("ran", path.name)


def python(program: str, *arguments: str, folder: Path | None = None) -> str:
    return run([sys.executable, "-W", "ignore", "-c", program, *arguments], folder)


def command(name: str, *arguments: str) -> str:
    return run([str(BIN / name), *arguments])


def run(arguments: list[str], folder: Path | None = None) -> str:
    environment = {**os.environ, "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]])}
    environment.pop("BOARD", None)
    result = subprocess.run(
        arguments, cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=900
    )
    if result.returncode:
        raise SystemExit(f"{arguments[0]} ... failed:\n{result.stdout[-3000:]}\n{result.stderr[-6000:]}")
    return result.stdout


def tell(what: str, text: str) -> None:
    print(f"{what:<10} {text}", flush=True)


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main(Path(sys.argv[1]))
