"""How large a model may be: one set of limits for its arithmetic and its file, checked when it is made."""

from __future__ import annotations

import json
from typing import Any

from eie.errors import LayerError

LAYERS_LIMIT = 1 << 10
LINES_LIMIT = 1 << 20
"""Most rows, and most columns, of a layer."""
ALL_LINES_LIMIT = 1 << 22
"""Most rows and columns of all layers together: what a few bytes of a file's header can make its reader allocate."""
NONZEROS_LIMIT = 1 << 28
NAME_LIMIT = 255
"""Most bytes of a name in UTF-8."""
METADATA_LIMIT = 1 << 20
"""Most bytes of the metadata as JSON."""

ACTIVATION_FRACTION_BITS = (-112, 126)
"""With these any int16 is a normal number of float32: 2**15 * 2**112 is finite, 2**-126 the smallest."""
WEIGHT_FRACTION_BITS = (-192, 192)
"""Whatever float32 holds, from 2**-149 to 2**128, as an int16."""


def check_name(text: Any, what: str) -> None:
    """Raise `LayerError` unless a name is text that the model file takes."""
    if not isinstance(text, str):
        raise LayerError(f"{what} is {text!r}, a {type(text).__name__}; it must be text")
    try:
        length = len(text.encode())
    except UnicodeEncodeError as error:
        raise LayerError(f"{what} {text!r} is not text ({error.reason})") from error
    if length > NAME_LIMIT:
        raise LayerError(f"{what} {text[:20]!r}... takes {length} bytes; the limit is {NAME_LIMIT}")


def fitting_name(text: str) -> str:
    """Return a name from elsewhere, made to fit: what is not UTF-8 replaced, the middle left out if it is too long."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) > NAME_LIMIT:
        part = (NAME_LIMIT - len("...")) // 2
        encoded = encoded[:part] + b"..." + encoded[-part:]
    return encoded.decode("utf-8", "ignore")


def metadata_text(metadata: Any) -> bytes:
    """Return metadata as JSON, or raise `LayerError` unless they are an object that JSON gives back unchanged."""
    if not isinstance(metadata, dict):
        raise LayerError(f"metadata are a {type(metadata).__name__}; they must be a dict")
    try:
        text = json.dumps(metadata, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise LayerError(f"metadata are not JSON: {error}") from error
    if len(text) > METADATA_LIMIT:
        raise LayerError(f"metadata take {len(text)} bytes as JSON; the limit is {METADATA_LIMIT}")
    if json.loads(text) != metadata:
        raise LayerError("metadata would change on the way through JSON; use string keys and lists, not tuples")
    return text
