#!/usr/bin/env python3
"""Write docs/figures/notebook_quick_start.png, the first figure of the executed notebook 1_quick_start.ipynb."""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path

import nbclient
import nbformat

from eie.atomic import replacing

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "notebooks" / "1_quick_start.ipynb"
FIGURE = ROOT / "docs" / "figures" / "notebook_quick_start.png"


def main() -> None:
    book = nbformat.read(NOTEBOOK, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        nbclient.NotebookClient(book, timeout=600, kernel_name="python3", resources=resources).execute()
    outputs = (output for cell in book.cells for output in cell.get("outputs", []))
    picture = next(output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {}))
    with replacing(FIGURE) as partial:
        partial.write_bytes(base64.b64decode(picture))


if __name__ == "__main__":
    main()
