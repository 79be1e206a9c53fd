"""The processor's part of a language model (driver/c/examples/stories.c) as a library in this process."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.driver.c.bridge import SOURCES, STRICT

PRODUCTS = ("qkv", "out", "up", "down")


class _Stories(ctypes.Structure):
    """`stories` of stories.h."""

    _fields_ = [
        ("multiply", ctypes.c_void_p),
        ("context", ctypes.c_void_p),
        ("memory", ctypes.c_void_p),
        *((name, ctypes.c_uint32) for name in ("width", "hidden", "layers", "heads", "key_heads", "vocabulary")),
        ("length", ctypes.c_uint32),
        *((name, ctypes.c_void_p) for name in ("embedding", "attention_norms", "feed_forward_norms", "final_norm")),
        *((name, ctypes.c_void_p) for name in ("cosines", "sines")),
    ]


class Language:
    """A model of the library.

    Parameters
    ----------
    folder : Path
        Where it is compiled.
    file : bytes
        Of llama2.c.
    multiply : callable (product, x) -> y
        Of a name such as "qkv0" or "classifier"; None ends the token.
    """

    def __init__(self, folder: Path, file: bytes, multiply: Callable[[str, np.ndarray], np.ndarray | None]) -> None:
        library = folder / "stories.so"
        flags = ("-O3", "-ffast-math", "-shared", "-fPIC")
        source = str(SOURCES / "examples/stories.c")
        subprocess.run(["gcc", *STRICT, *flags, source, "-lm", "-o", str(library)], check=True)
        self.library = ctypes.CDLL(str(library))
        self.library.stories_open.restype = ctypes.c_bool
        self.library.stories_floats.restype = ctypes.c_size_t
        self.library.stories_next.restype = ctypes.c_uint32
        self.library.stories_logits.restype = ctypes.POINTER(ctypes.c_float)
        self.model, self.file, self.multiply = (
            _Stories(),
            np.frombuffer(file + b"\0" * (-len(file) % 4), "<f4"),
            multiply,
        )
        kind = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_uint32, *[ctypes.POINTER(ctypes.c_float)] * 2)
        self.callback = kind(self._multiply)
        where, size = ctypes.c_void_p(self.file.ctypes.data), ctypes.c_size_t(len(file))
        self.opened = self.library.stories_open(ctypes.byref(self.model), where, size)
        if self.opened:
            self.memory = np.full(self.library.stories_floats(ctypes.byref(self.model)), np.nan, np.float32)
            self.model.memory = self.memory.ctypes.data
            self.model.multiply = ctypes.cast(self.callback, ctypes.c_void_p)

    def next(self, token: int, position: int) -> int:
        return self.library.stories_next(ctypes.byref(self.model), ctypes.c_uint32(token), ctypes.c_uint32(position))

    def logits(self) -> np.ndarray:
        pointer = self.library.stories_logits(ctypes.byref(self.model))
        return np.ctypeslib.as_array(pointer, (self.model.vocabulary,)).copy()

    def _multiply(self, _: int, product: int, x: object, y: object) -> bool:
        layer, kind = divmod(product, len(PRODUCTS))
        name = "classifier" if layer == self.model.layers else f"{PRODUCTS[kind]}{layer}"
        columns = self.model.hidden if name.startswith("down") else self.model.width
        result = self.multiply(name, np.ctypeslib.as_array(x, (columns,)))
        if result is None:
            return False
        np.ctypeslib.as_array(y, (len(result),))[:] = result
        return True
