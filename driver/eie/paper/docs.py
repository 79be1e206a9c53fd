"""The part of docs/paper.md that is written from an evaluation, and the data that it is written from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from eie.atomic import make_folder, replacing
from eie.errors import EieError
from eie.paper import published
from eie.paper.figures import figures
from eie.paper.findings import deviations, findings, summary
from eie.paper.notes import NOTES
from eie.paper.tables import ablation_table, energy_table, times_table, trained_table, utilisation_table
from eie.plots import save_figure

Result = dict[str, Any]

PAGE, DATA, FIGURES = "paper.md", "paper.json", "figures/paper"
_BEGIN, _END = "<!-- from here: written by scripts/paper.py --docs -->", "<!-- to here -->"


def write_docs(result: Result, folder: str | Path) -> list[Path]:
    """Renew the page, its data and its figures in the folder of the docs, and return their paths.

    Raises
    ------
    EieError
        If the page is not there, or lacks the marks between which it is renewed.
    """
    folder = Path(folder)
    kept = {key: value for key, value in result.items() if key not in ("times", "own_network")}
    page = folder / PAGE
    before, _, after = split(page)
    make_folder(folder / FIGURES)
    with replacing(folder / DATA) as partial:
        partial.write_text(json.dumps(kept, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    with replacing(page) as partial:
        partial.write_text(before + section(kept) + after, encoding="utf-8")
    written = [folder / DATA, page]
    for name, figure in figures(kept).items():
        for path in save_figure(figure, folder / FIGURES / name):
            if path.suffix == ".svg":
                written.append(path)
            else:
                path.unlink()
    return written


def split(page: Path) -> tuple[str, str, str]:
    """Return what stands before the written part, that part, and what stands after it."""
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise EieError(f"{page}: cannot be read ({error.strerror or error})") from error
    if text.count(_BEGIN) != 1 or text.count(_END) != 1 or text.index(_BEGIN) > text.index(_END):
        raise EieError(f"{page}: must hold {_BEGIN!r} and, after it, {_END!r}, once each")
    begin, end = text.index(_BEGIN) + len(_BEGIN), text.index(_END)
    return text[:begin], text[begin:end], text[end:]


def section(result: Result) -> str:
    """Return the written part in Markdown."""
    parts = [
        summary(result),
        "## Table IV: times of the nine benchmarks",
        times_table(result).markdown(),
        NOTES["times"],
        _items(deviations(result)),
        "## Useful work per PE and cycle",
        f"![Utilisation]({FIGURES}/utilisation.svg)",
        utilisation_table(result).markdown(),
        NOTES["utilisation"],
        "Step by step, and what each is worth:",
        ablation_table(result).markdown(),
        NOTES["ablation"],
    ]
    for finding in findings(result):
        parts += [f"## {finding.title}", f"![{finding.title}]({FIGURES}/{finding.figure}.svg)"]
        parts.append(f"*The paper:* {finding.paper}\n\n*Here:* {finding.ours}")
        parts += [f"*They differ:* {finding.difference}"] if finding.difference else []
    parts += [
        "## Tables II and V, Figure 6: energy and frames",
        energy_table(result).markdown(),
        NOTES["energy"],
        "## Trained and random weights",
        trained_table(result).markdown(),
        NOTES["trained"],
        "## Where the paper disagrees with itself",
        _items(published.INCONSISTENCIES),
    ]
    return "\n\n" + "\n\n".join(part for part in parts if part) + "\n\n"


def _items(items: Any) -> str:
    return "\n".join(f"- {item}" for item in items)
