"""Values and commands as Tcl source."""

from __future__ import annotations

from collections.abc import Iterable

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:-")
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def quote(value: object) -> str:
    """Return a value as one Tcl word that stands for exactly the text `str(value)`, whatever is in it.

    Plain text stays as it is; other text is put between double quotes, in which everything that Tcl would act on is
    escaped. The result is ASCII, so that the encoding in which Tcl reads a script does not matter.

    Raises
    ------
    ValueError
        For characters beyond U+FFFF, which the Tcl 8 of Vivado cannot hold, and for surrogates and U+0000.
    """
    text = str(value)
    if text and set(text) <= _PLAIN:
        return text
    return '"' + "".join(map(_escape, text)) + '"'


def command(*words: object) -> str:
    """Return a Tcl command of these words, each quoted."""
    return " ".join(map(quote, words))


def quoted_list(values: Iterable[object]) -> str:
    """Return a Tcl expression for the list of these values."""
    return f"[{command('list', *values)}]"


def _escape(character: str) -> str:
    code = ord(character)
    if code > 0xFFFF or 0xD800 <= code < 0xE000 or code == 0:
        raise ValueError(f"U+{code:04X} cannot be written to a Tcl script; the limit is U+FFFF, without surrogates")
    if character in _NAMED:
        return _NAMED[character]
    if character in '\\"$[]{};#':
        return "\\" + character
    return character if 0x20 <= code < 0x7F else f"\\u{code:04x}"
