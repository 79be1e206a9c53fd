"""ONNX Runtime's attention of language models (`GroupQueryAttention`), brought to plain operators."""

from __future__ import annotations

import numpy as np

from eie.errors import NetworkError
from eie.network.onnx_attention import attend, counted, flat, ints, joined, rotated, size_of, split, turned, unsqueezed
from eie.network.onnx_parts import OWN_DOMAIN, Given, element_type

_OTHERS = {"softcap": 0.0, "smooth_softmax": 0, "qk_output": 0}


def group_query_attention(given: Given) -> None:
    """Several queries share a key; each of a batch goes on where its own past ends, and sees nothing behind itself."""
    query, key, value, past_key, past_value, lengths, total, *tables, places, added = given.inputs[:11]
    for name, taken in _OTHERS.items():
        given.refuse(name, taken)
    if any(given.node.input[11:]) or any(given.node.output[3:]):
        raise NetworkError("sinks, quantised pasts and scores beside the outputs are not supported")
    heads, groups = given.attributes["num_heads"], given.attributes["kv_num_heads"]
    if heads % groups:
        raise NetworkError(f"{heads} heads do not share {groups} keys alike")
    if key:
        counts = (("q", query, heads), ("k", key, groups), ("v", value, groups))
        q, k, v = (_by_place(given, name, count, what) for what, name, count in counts)
    else:
        whole = _by_place(given, query, heads + 2 * groups, "qkv")
        q, k, v = split(given, whole, ["q", "k", "v"], [heads, groups, groups], axis=2)
    length = size_of(given, q, 1, "length")
    end = given.own("Reshape", [_integers(given, total, "total"), ints(given, "one", 1)], "end")
    ends = _ends(given, lengths)
    past = _past(given, ends, length, end)
    positions = given.own("Add", [past, counted(given, length, "steps")], "positions")
    if given.attributes.get("do_rotary", 0):
        if any(name not in given.known.constants for name in tables):
            raise NetworkError("the angles are not constant, which is not supported")
        ways = given.attributes.get("rotary_interleaved", 0)
        q, k = (rotated(given, x, places or positions, tables, ways, what) for x, what in ((q, "q"), (k, "k")))
    if past_key:
        k, v = _behind(given, [past_key, past_value], [k, v], past, end)
    k, v = (turned(given, x, f"{what} in heads") for x, what in ((k, "k"), (v, "v")))
    for name, x in zip(given.node.output[1:3], (k, v)):  # noqa: B905 - they may be left out
        if name:
            given.put("Identity", [x], [name], OWN_DOMAIN)
    seen = _seen(given, positions, size_of(given, k, 2, "keys"), ends)
    shared = ints(given, "shared", *np.repeat(np.arange(groups), heads // groups))
    k, v = (given.own("Gather", [x, shared], f"{what} shared", axis=1) for x, what in ((k, "k"), (v, "v")))
    attend(given, turned(given, q, "queries"), k, v, "", added, seen)


def _by_place(given: Given, name: str, count: int, what: str) -> str:
    """Return (B, S, N D) as (B, S, N, D)."""
    shape = ints(given, f"{what} shape", 0, 0, count, -1)
    return given.own("Reshape", [flat(given, name, what), shape], f"{what} split")


def _integers(given: Given, name: str, what: str) -> str:
    return given.own("Cast", [name], f"{what} as integer", to=element_type("INT64"))


def _ends(given: Given, lengths: str) -> str:
    """Return how many keys each has in all, shape (B, 1): a length is one less."""
    counts = given.own("Add", [_integers(given, lengths, "lengths"), ints(given, "less", 1)], "counts")
    return given.own("Reshape", [counts, ints(given, "column", -1, 1)], "ends")


def _past(given: Given, ends: str, length: str, end: str) -> str:
    """Return how long the past of each is, shape (B, 1): none if all is new."""
    whole = given.own("Equal", [end, length], "all new")
    before = given.own("Sub", [ends, length], "before")
    return given.own("Where", [whole, ints(given, "no past", 0), before], "past length")


def _behind(given: Given, past: list[str], new: list[str], lengths: str, end: str) -> list[str]:
    """Return keys and values, (B, L, N, D), those that are new right behind each one's past, and zeros behind them."""
    room = size_of(given, past[0], 2, "room")
    size = given.own("Max", [room, end], "size")
    places = counted(given, size, "places")
    later = given.own("Add", [given.own("Sub", [places, lengths], "ahead"), room], "places of new")
    count = size_of(given, new[0], 1, "new")
    last = given.own("Add", [room, given.own("Sub", [count, ints(given, "last", 1)], "new last")], "end of all")
    ahead = given.own("Less", [places, lengths], "is past")
    taken = given.own("Where", [ahead, places, given.own("Min", [later, last], "inside")], "taken")
    index = unsqueezed(given, taken, "taken each", -1)
    stop = given.own("Add", [lengths, count], "stop")
    inside = unsqueezed(given, given.own("Less", [places, stop], "is there"), "is there each", -1, -2)
    found = []
    for i, (old, x) in enumerate(zip(past, new, strict=True)):
        whole = joined(given, [turned(given, old, f"past {i}"), x], f"all {i}", 1)
        kept = given.own("GatherND", [whole, index], f"kept {i}", batch_dims=1)
        zero = given.own("CastLike", [ints(given, f"zero {i}", 0), kept], f"none {i}")
        found.append(given.own("Where", [inside, kept, zero], f"known {i}"))
    return found


def _seen(given: Given, positions: str, keys: str, ends: str) -> str:
    """Return which keys a query sees, (B, 1, S, L): none behind it nor behind the end, and none too far before it."""
    places = counted(given, keys, "key places")
    queries = unsqueezed(given, positions, "query places", 1, 3)
    there = given.own("Less", [places, unsqueezed(given, ends, "key ends", 1, 2)], "known keys")
    seen = given.own("And", [given.own("LessOrEqual", [places, queries], "not later"), there], "seen keys")
    window = given.attributes.get("local_window_size", -1)
    if window < 0:
        return seen
    oldest = given.own("Sub", [queries, ints(given, "window", window)], "oldest")
    return given.own("And", [seen, given.own("Greater", [places, oldest], "near")], "seen")
