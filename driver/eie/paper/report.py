"""Writing an evaluation: figures as PNG and SVG, data as CSV and JSON, and one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from eie.atomic import make_folder, replacing
from eie.paper import published
from eie.paper.figure_data import figure_tables
from eie.paper.figures import figures
from eie.paper.findings import Finding, deviations, findings, summary
from eie.paper.notes import NOTES, model_times
from eie.paper.tables import Table, tables
from eie.plots import save_figure
from eie.version import __version__

Result = dict[str, Any]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.4rem; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; font-size: 13px; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 9px; text-align: right; border-bottom: 1px solid #e4e4e4; }
td { white-space: nowrap; }
th { border-bottom: 2px solid #888; vertical-align: bottom; } th:first-child, td:first-child { text-align: left; }
.wide { overflow-x: auto; } img { width: 100%; height: auto; }
dl { display: grid; grid-template-columns: 7rem 1fr; gap: 4px 12px; } dt { color: #666; } dd { margin: 0; }
"""


def write(result: Result, folder: str | Path, progress: Callable[[str], None] | None = None) -> list[Path]:
    """Write an evaluation to a folder, and return the paths.

    Parameters
    ----------
    result : dict
        From `eie.paper.evaluation.evaluate`.
    folder : path
        Created if it is not there.
    progress : callable (text), optional

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    EieError
        If a file cannot be written.
    """
    tell = progress or (lambda text: None)
    folder = make_folder(folder)
    written = [_write(folder / "paper.json", json.dumps(result, indent=1, allow_nan=False))]
    written += [
        _write(folder / f"{table.name}.csv", table.csv()) for table in (*tables(result), *figure_tables(result))
    ]
    images = {}
    for name, figure in figures(result).items():
        tell(f"drawing {name}")
        paths = save_figure(figure, folder / name)
        images[name] = paths[0]
        written += paths
    written.append(_write(folder / "paper.html", page(result, images)))
    return written


def page(result: Result, images: dict[str, Path]) -> str:
    """Return the report as one HTML page, images included."""
    table = {t.name: t for t in tables(result)}
    parts = [
        "<h1>The evaluation of EIE, reproduced</h1>",
        f"<p>{escape(NOTES['about'])}</p><p>{escape(summary(result))}</p>",
        "<h2>Table IV: times of the nine benchmarks</h2>",
        _image(images["times"], "Times of the paper and ours"),
        _html(table["times"]),
        f"<p>{escape(NOTES['times'])}</p>",
        _list(deviations(result)),
        "<h2>Useful work per PE and cycle</h2>",
        _image(images["utilisation"], "Utilisation of the paper and ours"),
        _html(table["utilisation"]),
        f"<p>{escape(NOTES['utilisation'])}</p>",
        _html(table["ablation"]),
        f"<p>{escape(NOTES['ablation'])}</p>",
        *(_finding(finding, images) for finding in findings(result)),
        "<h2>Tables II and V, Figure 6: energy and frames</h2>",
        _html(table["energy"]),
        f"<p>{escape(NOTES['energy'])}</p>",
        "<h2>Trained and random weights</h2>",
        _html(table["trained"]),
        f"<p>{escape(NOTES['trained'])}</p>",
        "<h2>Where the paper disagrees with itself</h2>",
        _list(published.INCONSISTENCIES),
        "<h2>How this was made</h2>",
        _list([NOTES["method"], f"Seed {result['seed']}, eie {__version__}.", *model_times(result)]),
        "<h3>Machines</h3>",
        _html(machines_table(result)),
    ]
    if "own_network" in result:
        own = table["own"]
        parts.insert(
            parts.index("<h2>Where the paper disagrees with itself</h2>"), f"<h2>{escape(own.title)}</h2>{_html(own)}"
        )
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>EIE: the paper's evaluation</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def machines_table(result: Result) -> Table:
    """Return the parameters of the three machines."""
    machines = result["machines"]
    rows = [[name, *(str(machines[m][name]) for m in ("paper", "best", "board"))] for name in machines["paper"]]
    return Table("machines", "Machines", ("parameter", "paper-mode", "best mode", "board's memories"), [str] * 4, rows)


def _finding(finding: Finding, images: dict[str, Path]) -> str:
    lines = [("The paper", finding.paper), ("Here", finding.ours), ("They differ", finding.difference)]
    rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in lines if v)
    return f"<h2>{escape(finding.title)}</h2>{_image(images[finding.figure], finding.title)}<dl>{rows}</dl>"


def _image(path: Path, text: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<img alt="{escape(text)}" src="data:image/png;base64,{data}">'


def _html(table: Table) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in table.header)
    rows = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in table.cells())
    return f'<div class="wide"><table><tr>{head}</tr>{rows}</table></div>'


def _list(items: Any) -> str:
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def _write(path: Path, text: str) -> Path:
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return path
