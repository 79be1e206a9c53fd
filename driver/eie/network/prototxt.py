"""Protobuf's text format, as far as descriptions of Caffe networks use it."""

from __future__ import annotations

import re
from typing import Any

from eie.errors import NetworkError

Message = dict[str, list[Any]]
"""Every field's values in their order: numbers, text, or messages."""

_TOKEN = re.compile(
    r'\s+|#[^\n]*|(?P<text>"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\')|(?P<word>[\w.+-]+)|(?P<sign>[{}:;,])'
)
_DEEPEST = 16


def parse_prototxt(text: str) -> Message:
    """Return the message that a text holds.

    Raises
    ------
    NetworkError
        If it is not well formed; the message names the line.
    """
    return _Parser(text).message(0)


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str, int]] = []
        at, line = 0, 1
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise NetworkError(f"line {line}: {text[at]!r} is not understood")
            if match.lastgroup:
                self.tokens.append((match.lastgroup, match.group(), line))
            line += match.group().count("\n")
            at = match.end()
        self.at = 0

    def message(self, depth: int) -> Message:
        """Read fields up to the end of the text or, inside, to the closing brace."""
        if depth > _DEEPEST:
            raise NetworkError(f"messages are nested more than {_DEEPEST} deep")
        found: Message = {}
        while self.at < len(self.tokens):
            if depth and self._take("}"):
                return found
            name = self._next("word", "a field's name")
            colon = self._take(":")
            if self._take("{"):
                value: Any = self.message(depth + 1)
            elif colon:
                value = self._value()
            else:
                raise NetworkError(f"line {self._line()}: field {name!r} has neither a value nor a message")
            found.setdefault(name, []).append(value)
            while self._take(";") or self._take(","):
                pass
        if depth:
            raise NetworkError("a closing brace is missing at the end")
        return found

    def _value(self) -> Any:
        if self.at < len(self.tokens) and self.tokens[self.at][0] == "text":
            self.at += 1
            return self.tokens[self.at - 1][1][1:-1]
        word = self._next("word", "a value")
        for kind in (int, float):
            try:
                return kind(word)
            except ValueError:
                pass
        return {"true": True, "false": False}.get(word, word)

    def _next(self, kind: str, what: str) -> str:
        if self.at == len(self.tokens) or self.tokens[self.at][0] != kind:
            raise NetworkError(f"line {self._line()}: {what} is missing")
        self.at += 1
        return self.tokens[self.at - 1][1]

    def _take(self, sign: str) -> bool:
        taken = self.at < len(self.tokens) and self.tokens[self.at][:2] == ("sign", sign)
        self.at += taken
        return taken

    def _line(self) -> int:
        return self.tokens[min(self.at, len(self.tokens) - 1)][2] if self.tokens else 1
