"""The files in which Deep Compression's authors published AlexNet (Han et al., ICLR 2016).

A ``.net`` file holds, for the layers with weights in the order of the network's prototxt: the number of stored weights
of each, uint32; then, layer by layer, a codebook of 256 float32 values for a convolution and of 16 for a fully
connected layer, the biases as float32, the codes (8 bits, or two of 4 bits a byte, low first), and the relative indices
(two of 4 bits a byte, low first): zeros before each stored weight. Gaps of more than 15 are bridged by weights of
code 0, whose value is 0. Sizes are not in the file; they are those of the prototxt.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eie.errors import NetworkError
from eie.network.caffe import read_prototxt
from eie.network.graph import Array, Graph
from eie.network.operators.table import Shape


def read_net(path: Path) -> Graph:
    """Return the graph of a ``.net`` file; the prototxt lies beside it under the same name.

    Raises
    ------
    NetworkError
        If either file is missing, or they do not fit each other.
    """
    description = path.with_suffix(".prototxt")
    for each, what in ((path, "no such file"), (description, f"{path.name} needs the network's prototxt beside it")):
        if not each.is_file():
            raise NetworkError(f"{each}: {what}")
    try:
        text = description.read_text(encoding="utf-8")
        shapes: list[tuple[str, Shape, int | None]] = []

        def noted(name: str, shape: Shape, biases: int | None) -> tuple[Array, Array | None]:
            shapes.append((name, shape, biases))
            return np.broadcast_to(np.float32(0), shape), None if biases is None else np.zeros(biases, np.float32)

        read_prototxt(text, noted)
    except (NetworkError, UnicodeDecodeError) as error:
        raise NetworkError(f"{description}: {error}") from error
    try:
        found = _decoded(np.frombuffer(path.read_bytes(), np.uint8), shapes)
    except NetworkError as error:
        raise NetworkError(f"{path}: {error}") from error
    return read_prototxt(text, lambda name, shape, biases: found[name])


def _decoded(
    data: NDArray[np.uint8], shapes: list[tuple[str, Shape, int | None]]
) -> dict[str, tuple[Array, Array | None]]:
    counts = [int(count) for count in data[: 4 * len(shapes)].view("<u4")] if len(data) >= 4 * len(shapes) else []
    codes_of = [256 if len(shape) > 2 else 16 for _, shape, _ in shapes]
    parts = [
        (4 * codes, 4 * (biases or 0), count if codes == 256 else -(-count // 2), -(-count // 2))
        for count, codes, (_, _, biases) in zip(counts, codes_of, shapes, strict=False)
    ]
    wanted = 4 * len(shapes) + sum(map(sum, parts))
    if not shapes or len(counts) < len(shapes) or len(data) != wanted:
        raise NetworkError(
            f"it has {len(data)} bytes; {len(shapes)} layers of the prototxt's sizes, convolutions in 8 bits and the "
            f"others in 4, take {wanted}"
        )
    found, at = {}, 4 * len(shapes)
    for (name, shape, biases), count, sizes in zip(shapes, counts, parts, strict=True):
        pieces = []
        for size in sizes:
            pieces.append(data[at : at + size])
            at += size
        codebook, bias = pieces[0].view("<f4").astype(np.float32), pieces[1].view("<f4").astype(np.float32)
        codes = pieces[2] if len(codebook) == 256 else _nibbles(pieces[2], count)
        places = np.cumsum(_nibbles(pieces[3], count).astype(np.intp) + 1) - 1
        size = int(np.prod(shape, dtype=np.int64))
        if not (np.isfinite(codebook).all() and np.isfinite(bias).all()):
            raise NetworkError(f"layer {name!r}: a shared weight or a bias is NaN or infinite")
        if codebook[0] != 0 or (count and places[-1] >= size):
            raise NetworkError(
                f"layer {name!r}: code 0 stands for {codebook[0]:g} and its last weight is number "
                f"{places[-1] + 1 if count else 0}; 0 and at most {size} are wanted"
            )
        weight = np.zeros(size, np.float32)
        weight[places] = codebook[codes]
        found[name] = (weight.reshape(shape), None if biases is None else bias)
    return found


def _nibbles(data: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """Return the 4-bit values of bytes, the low one first."""
    return np.stack([data & 15, data >> 4], axis=1).ravel()[:count]
