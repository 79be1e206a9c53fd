"""ONNX Runtime's attention (`com.microsoft`), brought to plain operators.

Projections become products like any others, so that the array has those with constant weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from eie.errors import NetworkError
from eie.network.onnx_parts import OWN_DOMAIN, Given, element_type

_MASKED = -10000.0
"""What is added to the scores of keys that a mask leaves out."""
_RANK = 3
"""Of what attention takes and gives: batch, sequence, features."""
_END = 1 << 62


def attention(given: Given) -> None:
    """Queries, keys and values are one product."""
    x, weight, bias, mask, past, added, length, *_ = given.inputs
    for name in ("do_rotary", "past_present_share_buffer"):
        given.refuse(name, 0)
    if length:
        raise NetworkError("a length of the past beside it is not supported")
    y = given.own("MatMul", [x, weight], "product")
    given.nodes[-1].name = given.node.name
    y = given.sum("projected", y, bias)
    sizes = given.attributes.get("qkv_hidden_sizes")
    count = given.attributes["num_heads"]
    q, k, v = (_heads(given, part, count, part) for part in split(given, y, ["q", "k", "v"], sizes))
    if past:
        before = [given.own("Gather", [past, given.constant(f"past {i}", np.int64(i))], f"before {i}") for i in (0, 1)]
        k, v = _with_past(given, before, [k, v])
    if any(given.node.output[1:]):
        both = [unsqueezed(given, part, f"present {i}", 0) for i, part in enumerate((k, v))]
        given.put("Concat", both, given.node.output[1:2], OWN_DOMAIN, axis=0)
    attend(given, q, k, v, mask, added)


def multi_head_attention(given: Given) -> None:
    """Queries, keys and values come projected, without their biases."""
    q, k, v, bias, mask, added, *past, length, cache = given.inputs[:10]
    if not (k and v):
        raise NetworkError("packed queries, keys and values are not supported; give each alone")
    if length or cache:
        raise NetworkError("a length of the past beside it, or a cache of beams, is not supported")
    if any(given.node.output[3:]):
        raise NetworkError("the scores beside the outputs are not supported")
    count = given.attributes["num_heads"]
    if bias:
        q, k, v = _with_biases(given, [q, k, v], bias)
    q, k, v = (_heads(given, part, count, what) for part, what in ((q, "q"), (k, "k"), (v, "v")))
    if all(past):
        k, v = _with_past(given, past, [k, v])
    for name, part in zip(given.node.output[1:3], (k, v)):  # noqa: B905 - they may be left out
        if name:
            given.put("Identity", [part], [name], OWN_DOMAIN)
    attend(given, q, k, v, mask, added)


def rotary_embedding(given: Given) -> None:
    """Pairs of features are turned by angles that grow with the place."""
    x, positions, *tables = given.inputs[:4]
    given.refuse("is_packed_batching", 0)
    places = given.known.ranks.get(positions)
    if places not in (1, 2) or any(name not in given.known.constants for name in tables):
        raise NetworkError("the dimensions of the positions are not known, or the angles are not constant")
    half = given.known.constants[tables[0]].dims[1]
    heads, width = (given.attributes.get(name, 0) for name in ("num_heads", "rotary_embedding_dim"))
    if width and not heads:
        raise NetworkError("features that are not turned need the number of heads")
    with_heads = given.known.ranks.get(x, _RANK) == _RANK + 1
    if with_heads:
        y = turned(given, x, "by place")
    else:
        shape = ints(given, "heads", 0, 0, *((heads, -1) if heads else (-1, 2 * half)))
        y = given.own("Reshape", [flat(given, x, "x"), shape], "by place")
    if places == 1:  # the first one's
        positions = given.own("Add", [counted(given, size_of(given, y, 1, "length"), "steps"), positions], "positions")
    y = rotated(given, y, positions, tables, given.attributes.get("interleaved", 0), "y")
    if with_heads:
        given.end("Transpose", [y], OWN_DOMAIN, perm=[0, 2, 1, 3])
    else:
        given.end("Reshape", [y, ints(given, "flat", 0, 0, -1)], OWN_DOMAIN)


def rotated(given: Given, x: str, positions: str, tables: Sequence[str], interleaved: int, what: str) -> str:
    """Turn the first features of heads, (B, S, N, D), as many as there are angles for two of each.

    A pair are two side by side, or one of the first and one of the second half.
    """
    half = given.known.constants[tables[0]].dims[1]
    angles = [given.own("Gather", [table, positions], f"{what} angle {i}") for i, table in enumerate(tables)]
    cosine, sine = (unsqueezed(given, angle, f"{what} factor {i}", -2) for i, angle in enumerate(angles))
    axis, ends = ints(given, f"{what} last", -1), [ints(given, f"{what} {i}", i) for i in (0, 2 * half, _END)]
    first, rest = (given.own("Slice", [x, *ends[i : i + 2], axis], f"{what} part {i}") for i in (0, 1))
    pairs = [half, 2] if interleaved else [2, half]
    place = pairs.index(2) - 2
    whole = given.own("Reshape", [first, ints(given, f"{what} pairs", 0, 0, 0, *pairs)], f"{what} in pairs")
    parts = split(given, whole, [f"{what} a", f"{what} b"], axis=place)
    alone = [given.own("Squeeze", [part, ints(given, f"{part} axis", place)], f"{part} alone") for part in parts]
    found = []
    for operator, factors in (("Sub", (cosine, sine)), ("Add", (sine, cosine))):
        name = f"{what} {operator}"
        terms = [given.own("Mul", [alone[i], factor], f"{name} {i}") for i, factor in enumerate(factors)]
        found.append(unsqueezed(given, given.own(operator, terms, name), f"{name} turned", place))
    both = joined(given, found, f"{what} turned pairs", place)
    level = given.own("Reshape", [both, ints(given, f"{what} of heads", 0, 0, 0, 2 * half)], f"{what} turned")
    return joined(given, [level, rest], f"{what} whole", -1)


def flat(given: Given, name: str, what: str) -> str:
    """Return a tensor as it is, and have it refused if it has not three dimensions."""
    return given.own("Transpose", [name], f"{what} flat", perm=list(range(_RANK)))


def _heads(given: Given, name: str, count: int, what: str) -> str:
    """Return (B, S, N D) as (B, N, S, D); what has such heads already stays."""
    if given.known.ranks.get(name, _RANK) == _RANK + 1:
        return name
    shape = ints(given, f"{what} shape", 0, 0, count, -1)
    return turned(given, given.own("Reshape", [flat(given, name, what), shape], f"{what} split"), f"{what} heads")


def turned(given: Given, name: str, what: str) -> str:
    return given.own("Transpose", [name], what, perm=[0, 2, 1, 3])


def _with_past(given: Given, past: Sequence[str], present: Sequence[str]) -> list[str]:
    """Return keys and values behind those of before."""
    pairs = zip(past, present, strict=True)
    return [joined(given, list(pair), f"whole {i}", 2) for i, pair in enumerate(pairs)]


def _with_biases(given: Given, parts: Sequence[str], bias: str) -> list[str]:
    """Add the biases of queries, keys and values, which lie behind one another: values may be wider than the others."""
    if any(given.known.ranks.get(part, _RANK) != _RANK for part in parts):
        raise NetworkError("biases of keys with heads are not supported")
    first = size_of(given, parts[0], 2, "q width")
    ends = [ints(given, "start", 0), first, given.own("Add", [first, first], "k end"), ints(given, "v end", _END)]
    found = []
    for i, part in enumerate(parts):
        own = given.own("Slice", [bias, ends[i], ends[i + 1]], f"bias {i}")
        found.append(given.own("Add", [part, own], f"biased {i}"))
    return found


def attend(given: Given, q: str, k: str, v: str, mask: str, added: str, seen: str = "") -> None:
    """Add attention of heads (B, N, S, D), and give their results side by side, (B, S, N D).

    `seen` says for which keys a query has scores at all.
    """
    scores = given.own("MatMul", [q, given.own("Transpose", [k], "keys turned", perm=[0, 1, 3, 2])], "scores")
    scale = given.attributes.get("scale", 0.0)
    if scale:
        scores = given.own("Mul", [scores, _like(given, scale, scores, "scale")], "scaled")
    else:
        width = given.own("CastLike", [size_of(given, q, 3, "width"), scores], "width as floats")
        scores = given.own("Div", [scores, given.own("Sqrt", [width], "unit")], "scaled")
    if mask:
        scores = given.own("Add", [scores, _mask(given, mask, k, scores)], "masked")
    if added:
        scores = given.own("Add", [scores, added], "biased")
    if given.attributes.get("unidirectional", 0):
        seen = _before(given, q, k)
    if seen:
        scores = given.own("Where", [seen, scores, _like(given, -math.inf, scores, "never")], "seen scores")
    shares = given.own("Softmax", [scores], "shares", axis=-1)
    mixed = turned(given, given.own("MatMul", [shares, v], "mixed"), "mixed by place")
    given.put("Reshape", [mixed, ints(given, "joined shape", 0, 0, -1)], given.node.output[:1], OWN_DOMAIN)


def _before(given: Given, q: str, k: str) -> str:
    """Return which keys are not after a query; the last query is as late as the last key."""
    lengths = [size_of(given, name, 2, f"{what} length") for name, what in ((q, "q"), (k, "k"))]
    square = joined(given, lengths, "square", 0)
    ones = given.own("Expand", [given.constant("true", np.array(True)), square], "ones")
    past = given.own("Squeeze", [given.own("Sub", lengths[::-1], "more keys")], "past")
    return given.own("Trilu", [ones, past], "seen", upper=0)


def _mask(given: Given, mask: str, k: str, scores: str) -> str:
    """Return what is added to scores: a mask has a length for each of a batch, or says which keys, or for whom, too."""
    rank = given.known.ranks.get(mask)
    if rank == 1:
        places = counted(given, size_of(given, k, 2, "keys"), "places")
        batch = joined(given, [size_of(given, k, 0, "batch"), ints(given, "one", 1)], "lengths shape", 0)
        lengths = given.own("Cast", [mask], "lengths", to=element_type("INT64"))
        within = given.own("Less", [places, given.own("Reshape", [lengths, batch], "ends")], "within")
    elif rank in (2, 3):
        none = given.own("CastLike", [ints(given, "zero", 0), mask], "none")
        within = given.own("Greater", [mask, none], "within")
    else:
        raise NetworkError(f"the mask {mask!r} has {rank or 'unknown'} dimensions; 1 to 3 are supported")
    within = unsqueezed(given, within, "within all", *((1, 2) if rank < _RANK else (1,)))
    value = given.attributes.get("mask_filter_value", _MASKED)
    return given.own("Where", [within, *(_like(given, x, scores, f"mask {x}") for x in (0.0, value))], "mask")


def _like(given: Given, value: float, name: str, what: str) -> str:
    """Return a constant of the type that a tensor has."""
    return given.own("CastLike", [given.constant(f"{what} value", np.float32(value)), name], what)


def ints(given: Given, what: str, *values: int) -> str:
    """Return the name of a constant vector."""
    return given.constant(what, np.array(values, np.int64))


def size_of(given: Given, name: str, axis: int, what: str) -> str:
    """Return the size of an axis as a vector of one."""
    return given.own("Shape", [name], what, start=axis, end=axis + 1)


def counted(given: Given, end: str, what: str) -> str:
    """Return the numbers from 0 to one, given as a vector of one."""
    first, step = (given.constant(f"{what} {value}", np.int64(value)) for value in (0, 1))
    return given.own("Range", [first, given.own("Squeeze", [end], f"{what} end"), step], what)


def unsqueezed(given: Given, name: str, what: str, *axes: int) -> str:
    """Return a tensor with axes of size 1 in between."""
    return given.own("Unsqueeze", [name, ints(given, f"{what} axes", *axes)], what)


def joined(given: Given, parts: Sequence[str], what: str, axis: int) -> str:
    """Return tensors behind one another."""
    return given.own("Concat", list(parts), what, axis=axis)


def split(
    given: Given, name: str, parts: Sequence[str], sizes: Sequence[int] | None = None, axis: int = -1
) -> list[str]:
    """Return the parts of a tensor, all alike if there are no sizes."""
    names = [f"{given.node.output[0]}:{part}" for part in parts]
    inputs = [name] if sizes is None else [name, ints(given, f"{parts[0]} sizes", *sizes)]
    given.put("Split", inputs, names, OWN_DOMAIN, axis=axis, num_outputs=None if sizes else len(parts))
    return names
