"""The pages are honest: what they name exists, what is generated is up to date, every page is in the site."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from runpy import run_path

import pytest

import eie
from eie.cli import _parser
from eie.contract import isa, registers
from eie.model_file import container

griffe = pytest.importorskip("griffe", reason="griffe is not installed (extra docs)")

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
SOURCES = sorted([*ROOT.glob("driver/**/*.py"), *ROOT.glob("hw/**/*.py")])
NAMES = {"eie": "driver", "eie_hw": "hw"}


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def page_id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def package(name: str):
    return griffe.load(name, search_paths=[str(ROOT / NAMES[name])], resolve_aliases=False)


def has(dotted: str) -> bool:
    root, *rest = dotted.split(".")
    here = package(root)
    for part in rest:
        here = here.final_target if here.is_alias else here
        if part not in here.all_members:
            return False
        here = here.all_members[part]
    return True


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_path_that_a_page_names_exists(page):
    # NAME and {a,b} stand for several; an overlay's files, and a file that an example adds, are not there yet.
    plain = re.sub(r"\{[\w,]+\}|NAME|(?<=pynq-z2/)eie-pynq-z2\S*", "*", re.sub(r' title="[^"]*"', "", text(page)))
    named = re.findall(r"(?<![\w/.-])(?:\.ci|docs|driver|hw|notebooks|overlays|scripts|tests)/[\w*./-]*[\w*/]", plain)
    missing = [name for name in named if not any(ROOT.glob(name.rstrip("/")))]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_link_of_a_page_leads_somewhere(page):
    targets = re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", text(page))
    assert not [target for target in targets if not (page.parent / target).exists()]


@pytest.mark.parametrize("page", [*PAGES, *SOURCES], ids=page_id)
def test_every_name_in_dots_that_a_page_or_docstring_quotes_exists(page):
    quoted = re.findall(r"`(eie(?:_hw)?(?:\.[A-Za-z_]\w*)+)[`(]", text(page))
    files = (".bit", ".eie", ".hwh", ".npy", ".json", ".h", ".c")
    assert not [name for name in quoted if not name.endswith(files) and not has(name)]


def names_in_code(code: str) -> Iterator[str]:
    """Give what a program imports from the packages, and the attributes that it takes of `eie`."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in NAMES:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "eie":
            yield f"eie.{node.attr}"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_name_that_code_of_a_page_takes_from_the_packages_exists(page):
    programs = re.findall(r"^```python\n(.*?)^```", text(page), re.M | re.S)
    assert not [name for program in programs for name in names_in_code(program) if not has(name)]


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_command_that_a_page_shows_is_known(page):
    commands = set(re.findall(r"(?:`|^    (?:\$ )?|^eie doctor && )eie ([a-z][\w-]*)", text(page), re.M))
    known = next(action for action in _parser()._actions if action.choices).choices
    assert commands <= set(known)


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_extra_that_a_page_names_is_one(page):
    extras = re.findall(r"(?:eie-pynq|\.)\[([\w,]+)\]", text(page))
    setup = text(ROOT / "setup.py")
    assert not [extra for names in extras for extra in names.split(",") if f'"{extra}": ' not in setup]


def test_every_page_is_in_the_navigation_of_the_site():
    navigation = text(ROOT / "mkdocs.yml").partition("\nnav:\n")[2]
    listed = set(re.findall(r": ([\w-]+\.md)$", navigation, re.M))
    assert listed == {page.name for page in ROOT.glob("docs/*.md")} | {"index.md", "contributing.md", "changelog.md"}


def test_citation_and_changelog_know_the_version():
    assert f"\nversion: {eie.__version__}\n" in text(ROOT / "CITATION.cff")
    assert re.search(rf"^## \[({re.escape(eie.__version__)}|Unreleased)\]", text(ROOT / "CHANGELOG.md"), re.M)


def test_the_page_of_versions_and_the_changelog_state_the_present_ones():
    changes = " ".join(text(ROOT / "CHANGELOG.md").split())
    homes = {"register map": registers, "instruction set": isa, "model file": container}
    for name, home in homes.items():
        path = Path(home.__file__).relative_to(ROOT).as_posix()
        rows = text(ROOT / "docs/versions.md").splitlines()
        (row,) = [line for line in rows if line.startswith("|") and f"`VERSION` of `{path}`" in line]
        assert re.match(rf"{home.VERSION}\b", row.split("|")[3].strip()), row
        assert re.search(rf"{name} (is )?at (version )?{home.VERSION}\b", changes), name


def test_drawings_are_those_of_the_pipeline():
    for name, svg in run_path(str(ROOT / "scripts/drawings.py"))["drawings"]().items():
        stale = f"docs/figures/{name}.svg is out of date: python scripts/drawings.py"
        assert text(ROOT / f"docs/figures/{name}.svg") == svg, stale
