"""Hooks of the documentation's site (mkdocs.yml): pages that lie outside docs/, and the reference of both packages.

README.md becomes the first page, CONTRIBUTING.md and CHANGELOG.md pages beside those of docs/, and each package of
`eie` and `eie_hw` a page of the API reference, made of its docstrings.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

import griffe
from mkdocs.exceptions import PluginError

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).resolve().parents[1]
PAGES = {"index.md": "README.md", "contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
"""Pages of the site that lie at the root of the repository."""
REFERENCE = {"eie": ROOT / "driver/eie", "eie_hw": ROOT / "hw/eie_hw"}

_LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Append the reference to the navigation."""
    pages = {root: [{package: uri} for package, uri in _packages(root)] for root in REFERENCE}
    config.nav.append({"Reference": [{root: pages[root]} for root in REFERENCE]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside docs/, what they link to, and the reference."""
    from mkdocs.structure.files import File

    for uri, source in PAGES.items():
        content = _relink((ROOT / source).read_text(encoding="utf-8"), "")
        files.append(File.generated(config, uri, content=content))
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        files.append(File.generated(config, f"notebooks/{notebook.name}", abs_src_path=str(notebook)))
    for root in REFERENCE:
        for package, uri in _packages(root):
            files.append(File.generated(config, uri, content=_reference(root, package)))
    return files


def on_page_markdown(markdown: str, page, config: MkDocsConfig, files: Files) -> str:
    """Lead links out of docs/ to where their targets lie in the site."""
    uri = page.file.src_uri
    return markdown if uri in PAGES or uri.startswith("reference/") else _relink(markdown, "docs")


def _relink(markdown: str, folder: str) -> str:
    """Links to files of the repository become links of the site, or plain text where the site does not have them."""
    pages = {source: uri for uri, source in PAGES.items()}

    def lead(match: re.Match) -> str:
        target = posixpath.normpath(posixpath.join(folder, match[1]))
        if not (ROOT / target).exists():
            raise PluginError(f"a page links to {match[1]!r}, which is not in the repository")
        anchor = match[2] or ""
        if target in pages:
            return f"]({pages[target]}{anchor})"
        if target.startswith("docs/") and (ROOT / target).is_file():
            return f"]({target[len('docs/') :]}{anchor})"
        if target.startswith("notebooks/"):
            return f"]({target})"
        return "]{.path}"

    return re.sub(r"\[([^]]*)\]\{\.path\}", r"\1", _LINK.sub(lead, markdown))


def _packages(root: str) -> list[tuple[str, str]]:
    """Name and page of the packages of a root that have modules, the root itself first."""
    folders = [REFERENCE[root], *sorted(p.parent for p in REFERENCE[root].rglob("__init__.py"))[1:]]
    names = [".".join((root, *folder.relative_to(REFERENCE[root]).parts)) for folder in folders]
    return [(name, f"reference/{name}.md") for name in names if name == root or _modules(root, name)]


def _modules(root: str, package: str) -> list[str]:
    folder = REFERENCE[root].joinpath(*package.split(".")[1:])
    return [f"{package}.{source.stem}" for source in sorted(folder.glob("*.py")) if not source.stem.startswith("__")]


def _reference(root: str, package: str) -> str:
    head = f"::: {package}\n    options:\n      heading_level: 1"
    return "\n\n".join([head, *(f"::: {name}" for name in _modules(root, package))]) + "\n"


class PortTables(griffe.Extension):
    """Port tables of the hardware, in the docstrings as columns under lines of `=`, as tables of Markdown."""

    def on_instance(self, *, obj: griffe.Object, **_) -> None:
        """Rewrite the tables of one docstring."""
        if obj.docstring and _RULE.search(obj.docstring.value):
            head, table, *rest = _RULE.split(obj.docstring.value)
            obj.docstring.value = "\n".join([head.rstrip(), "", *_table(table), "", *(r.lstrip() for r in rest)])


_RULE = re.compile(r"^ *=+(?: =+)+ *$", re.M)
_PORT = re.compile(r"(?P<port>\S.*?)\s+(?P<direction>in|out)\b[, ]*(?P<text>.*)")


def _table(table: str) -> list[str]:
    rows: list[list[str]] = []
    for line in table.strip("\n").splitlines():
        if line.startswith("  ") and rows:
            rows[-1][-1] += " " + line.strip()
        elif match := _PORT.fullmatch(line):
            rows.append([match["port"], match["direction"], match["text"]])
        else:
            port, _, text = re.sub(r" {2,}", "\t", line.strip(), count=1).partition("\t")
            rows.append([port, "", text])
    cells = [["port", "direction", "meaning"], ["---"] * 3, *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]
