"""Text for a terminal: what files and names hold must not steer it."""

from __future__ import annotations

from collections.abc import Sequence


def printable(text: str) -> str:
    """Return text in which every character that does not print is written as an escape, line ends included.

    Control characters (ESC, BEL, C1), marks that reorder text or have no width, and lone surrogates become ``\\x1b``,
    ``\\u202e`` and so on; letters of every script stay.
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escape(character) for character in text)


def printable_lines(text: str) -> str:
    """Return text of several lines, each as `printable` has it."""
    return "\n".join(printable(line) for line in text.split("\n"))


def columns(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Return the lines of a table, its first `left` columns aligned left, the others right."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
