"""Text for a terminal: what files and names hold must not steer it."""

from __future__ import annotations


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


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
