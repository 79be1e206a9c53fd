"""What ONNX Runtime's optimiser makes of transformers (`com.microsoft`), brought to plain operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from eie.errors import NetworkError
from eie.network.onnx_attention import attention, counted, ints, multi_head_attention, rotary_embedding, size_of
from eie.network.onnx_grouped import group_query_attention
from eie.network.onnx_parts import OWN_DOMAIN, Given
from eie.network.onnx_values import array_of


def _embedding(given: Given) -> None:
    """Embeddings of words, places and segments, summed and normalised."""
    ids, segments, words, places, kinds, scale, shift, mask, positions, *_ = given.inputs
    outputs = [*given.node.output, "", ""]
    if not positions:
        positions = counted(given, size_of(given, ids, 1, "length"), "positions")
    terms = [given.own("Gather", [words, ids], "words"), given.own("Gather", [places, positions], "places")]
    if segments:
        terms.append(given.own("Gather", [kinds, segments], "segments"))
    total = terms[0]
    for i, term in enumerate(terms[1:]):
        total = given.own("Add", [total, term], f"sum {i}")
    given.put("LayerNormalization", [total, scale, shift], outputs[:1], OWN_DOMAIN, **given.pick("epsilon"))
    if outputs[1]:
        given.known.ranks[outputs[1]] = 1
        if mask:
            given.put("ReduceSum", [mask, ints(given, "mask axis", 1)], outputs[1:2], OWN_DOMAIN, keepdims=0)
        else:
            zero = given.constant("no length", np.int32(0))
            given.put("Expand", [zero, size_of(given, ids, 0, "batch")], outputs[1:2], OWN_DOMAIN)
    if outputs[2]:
        given.put("Identity", [total], outputs[2:3], OWN_DOMAIN)


def _product_of_bits(given: Given) -> None:
    """Weights of a few bits, a block of a row with a scale and a zero point each, are constants."""
    a, codes, scales, zeros, groups, bias, *_ = given.inputs
    if groups:
        raise NetworkError("an order of the groups (g_idx) is not supported")
    for name in (codes, scales, *([zeros] if zeros else [])):
        if name not in given.known.constants:
            raise NetworkError(f"the weights {name!r} are not constant, which is not supported")
    arrays = [array_of(given.known.constants[name]) if name else None for name in (codes, scales, zeros)]
    floats = _dequantised(arrays, **given.pick("K", "N", "bits", "block_size"))
    weight = given.constant("weight", floats)
    if bias:
        product = given.own("MatMul", [a, weight], "product")
        given.nodes[-1].name = given.node.name
        given.end("Add", [product, bias], OWN_DOMAIN)
    else:
        given.end("MatMul", [a, weight], OWN_DOMAIN)
        given.nodes[-1].name = given.node.name


def _dequantised(arrays: list[Any], K: int, N: int, block_size: int, bits: int = 4) -> Any:
    """Return the weights, shape (K, N), of codes packed along K."""
    codes, scales, zeros = arrays
    blocks = -(-K // block_size)
    scales = scales.reshape(N, blocks, 1)
    middle = scales.dtype.type(1 << (bits - 1))
    if zeros is None:
        offsets = np.full((N, blocks, 1), middle)
    elif zeros.dtype == np.uint8:
        offsets = _unpacked(zeros.reshape(N, -1), bits)[:, :blocks, None].astype(scales.dtype)
    else:
        offsets = zeros.reshape(N, blocks, 1)
    values = _unpacked(codes.reshape(N, blocks, -1), bits).astype(scales.dtype)
    return ((values - offsets) * scales).reshape(N, -1)[:, :K].T.copy()


def _unpacked(packed: Any, bits: int) -> Any:
    """Return the codes of bytes, those of the lower bits first, along the last axis."""
    if bits not in (2, 4, 8):
        raise NetworkError(f"weights of {bits} bits are not supported; 2, 4 and 8 are")
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    codes = (packed[..., None] >> shifts) & np.uint8((1 << bits) - 1)
    return codes.reshape(*packed.shape[:-1], -1)


def _gelu(approximate: str) -> Callable[[Given], None]:
    def rewrite(given: Given) -> None:
        given.end("Gelu", [given.sum("biased", *given.inputs[:2])], OWN_DOMAIN, approximate=approximate)

    return rewrite


def _quick_gelu(given: Given) -> None:
    given.end("Swish", given.inputs[:1], OWN_DOMAIN, alpha=given.attributes.get("alpha", 1.702))


def _skip_norm(operator: str, count: int) -> Callable[[Given], None]:
    """Return the rewrite of a normalised sum; `count` inputs are the norm's own, a bias of the sum comes last."""

    def rewrite(given: Given) -> None:
        x, skip, *norm = given.inputs[: 2 + count]
        outputs = [*given.node.output, "", "", ""]
        if outputs[1] or outputs[2]:
            raise NetworkError("the mean and deviation beside the outputs are not supported")
        total = given.sum("sum", x, skip, given.inputs[2 + count])
        given.put(operator, [total, *norm], outputs[:1], OWN_DOMAIN, **given.pick("epsilon"))
        if outputs[3]:
            given.put("Identity", [total], outputs[3:4])

    return rewrite


TRANSFORMER_REWRITES: dict[str, Callable[[Given], None]] = {
    "Attention": attention,
    "GroupQueryAttention": group_query_attention,
    "MultiHeadAttention": multi_head_attention,
    "EmbedLayerNormalization": _embedding,
    "RotaryEmbedding": rotary_embedding,
    "MatMulNBits": _product_of_bits,
    "Gelu": _gelu("none"),
    "BiasGelu": _gelu("none"),
    "FastGelu": _gelu("tanh"),
    "QuickGelu": _quick_gelu,
    "SkipLayerNormalization": _skip_norm("LayerNormalization", 2),
    "SkipSimplifiedLayerNormalization": _skip_norm("RMSNormalization", 1),
}
