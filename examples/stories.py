"""A language model on the array: every matrix of stories260K in 4-bit codes, the rest of the model in numpy.

    python examples/stories.py stories260K.bin tok512.bin                       # a story, from the emulation
    python examples/stories.py stories260K.bin tok512.bin --device rtl          # from the simulated hardware
    python examples/stories.py stories260K.bin tok512.bin --report              # perplexity, tokens a second

The files are those of llama2.c (Karpathy, 2023; huggingface.co/karpathy/tinyllamas, MIT licence). How a product
of a matrix and a vector of your own comes to the array, in four steps, is what this program shows:

1. `products`: which matrices there are. Those with the same input are stacked: one product, one transfer.
2. `inputs_of`: typical inputs of each, for the calibration.
3. `eie.compress`: the matrix as an `eie.Model`, here of two terms of 4-bit codes where it is worth it.
4. `Array.multiply`: `accelerator.run(x, model=model)` in the place of ``x @ matrix.T``.
"""

from __future__ import annotations

import argparse
import struct
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import stories_model
from stories_model import Llama

import eie
from eie.boards.board import board
from eie.cycle_model.estimate import PYTHON_TRANSFER_MICROSECONDS
from eie.errors import AccuracyWarning
from eie.program.together import pack_together

BOARD = "pynq-z2"
BEGIN = 1
"""The token that begins a text."""

CALIBRATION, TEST = (12, 192, 2), (8, 192, 1)
"""Texts that the model writes itself: how many, their length, seed."""

TWO_TERMS = ("qkv", "classifier")
"""Products that are worth two terms of codes. With one in all products perplexity is 4.40, with two in all 3.54, but
then twice the weights have to find room; with two in these it is 3.81, and in no others does a weight gain as much."""

CPU_MHZ, CYCLES = 650.0, (1.0, 2.0)
"""The PYNQ-Z2's Cortex-A9, and the cycles that an instruction takes, least and most: assumed; two can begin in one."""
CALL, CALL_INPUT, CALL_OUTPUT = 780, 11, 13
"""Instructions that armv7 executes for a call of the C runtime, and for each input and output of it, counted as
`scripts/bench_c.py --arm` does: for products of 64 x 64 to 512 x 64, within 1 %."""
TOKEN = 78_900
"""Instructions of all that is not a product (driver/c/examples/stories.c): norms, rotation, attention, gates, the
likeliest token. The mean of 64 positions, counted by the same script."""
GOAL = 1_000
"""Tokens a second."""
REGISTERS, REGISTER_US = 13, 0.2
"""Registers that a call reads and writes; the time of one is assumed."""


def products(layers: int) -> dict[str, tuple[str, ...]]:
    """Step 1: the products of a token, in order, and the matrices that each stacks."""
    stacks: dict[str, tuple[str, ...]] = {}
    for i in range(layers):
        stacks[f"qkv{i}"] = (f"wq{i}", f"wk{i}", f"wv{i}")
        stacks[f"out{i}"] = (f"wo{i}",)
        stacks[f"up{i}"] = (f"w1_{i}", f"w3_{i}")
        stacks[f"down{i}"] = (f"w2_{i}",)
    return stacks | {"classifier": ("classifier",)}


def terms_of(layers: int, same: int | None = None) -> dict[str, int]:
    """Return the terms of each product: the same for all, or by loss."""
    return {name: same or 1 + name.startswith(TWO_TERMS) for name in products(layers)}


class Array:
    """The products of a model on an EIE array.

    Parameters
    ----------
    llama : Llama
    models : dict of Model
        Of each product.
    device : str
        "emulated" or "rtl", with the array of the board.
    """

    def __init__(self, llama: Llama, models: dict[str, eie.Model], device: str = "emulated") -> None:
        config = board(BOARD).config
        self.accelerator = eie.Accelerator(eie.RtlDevice(config) if device == "rtl" else eie.EmulatedDevice(config))
        self.models = models
        self.stacks = {names[0]: (product, names) for product, names in products(llama.layers).items()}
        self.rows = {name: len(matrix) for name, matrix in llama.matrices.items()}
        self.matrices = llama.matrices
        self.ready: dict[str, np.ndarray] = {}

    def multiply(self, name: str, x: np.ndarray) -> np.ndarray:
        """Step 4: what stands in the place of ``x @ matrix.T``; a stack's first matrix brings the others along."""
        if name in self.stacks:
            product, names = self.stacks[name]
            if product not in self.models:
                return x @ self.matrices[name].T
            ends = np.cumsum([self.rows[n] for n in names])[:-1]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", AccuracyWarning)
                y = self.accelerator.run(x, model=self.models[product])
            self.ready = dict(zip(names, np.split(y, ends, axis=1), strict=True))
        return self.ready[name] if name in self.ready else x @ self.matrices[name].T


def compress(llama: Llama, texts: np.ndarray, terms: dict[str, int]) -> dict[str, eie.Model]:
    """Step 3: compress every product, calibrated on what it gets in the texts."""
    inputs = inputs_of(llama, texts)
    models: dict[str, eie.Model] = {}
    for product, names in products(llama.layers).items():
        matrix = eie.Dense(np.concatenate([llama.matrices[name] for name in names]), name=product)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AccuracyWarning)
            models[product] = eie.compress(
                matrix, 1.0, inputs[names[0]], headroom=1.5, terms=terms[product], name=product
            )
    return models


def inputs_of(llama: Llama, texts: np.ndarray) -> dict[str, np.ndarray]:
    """Step 2: return what every matrix is multiplied with in the texts, shape (tokens, inputs)."""
    seen: dict[str, list[np.ndarray]] = {name: [] for name in llama.matrices}

    def multiply(name: str, x: np.ndarray) -> np.ndarray:
        seen[name].append(x)
        return x @ llama.matrices[name].T

    llama.multiply = multiply
    for text in texts:
        llama.logits(text)
    llama.multiply = None
    return {name: np.concatenate(parts).astype(np.float32) for name, parts in seen.items()}


def write(llama: Llama, count: int) -> list[int]:
    """Return the tokens of a story at temperature 0."""
    tokens, past = [BEGIN], {}
    for _ in range(count):
        tokens.append(int(llama.logits(np.array(tokens[-1:]), past)[-1].argmax()))
    return tokens


def report(llama: Llama, models: dict[str, eie.Model]) -> None:
    """Print perplexity beside float, and the tokens a second to expect of the board."""
    texts = stories_model.sample(llama, *TEST)
    print(f"perplexity on text of its own: float {stories_model.perplexity(llama, texts):.2f}", end="")
    llama.multiply = Array(llama, models).multiply
    print(f", on the array {stories_model.perplexity(llama, texts):.2f}")
    llama.multiply = None
    found = [eie.estimate(model, BOARD, density=1.0, batch=1) for model in models.values()]
    stays = [stays for _, stays in pack_together(list(models.values()), board(BOARD).config)]
    computing = sum(e.latency_microseconds for e in found)
    loading = sum(e.load_cycles / e.clock_mhz for e, there in zip(found, stays, strict=True) if not there)
    sent = stays.count(False)
    calls = len(found) + sent
    registers = calls * REGISTERS * REGISTER_US
    calling = CALL * sent + sum(CALL + CALL_INPUT * m.columns + CALL_OUTPUT * m.rows for m in models.values())
    fixed = computing + loading + registers
    print(f"a token on the {found[0].board} at {found[0].clock_mhz:g} MHz, simulated: {len(found)} products")
    print(f"  products alone               {computing:5.0f} us, {1e6 / computing:,.0f} tokens/s")
    print(f"  weights sent anew            {loading:5.0f} us, of {sent} products that find no room beside the others")
    print(f"  registers                    {registers:5.0f} us, {calls} calls")
    print(f"C at {CPU_MHZ:g} MHz, with {' and '.join(f'{cycles:g}' for cycles in CYCLES)} cycles an instruction")
    for name, count in (("calls", calling), ("attention, norms, gates", TOKEN)):
        low, high = (count * cycles / CPU_MHZ for cycles in CYCLES)
        print(f"  {name:<29}{low:5.0f} to {high:.0f} us, {count:,} instructions")
    slow, fast = sorted(1e6 / (fixed + (calling + TOKEN) * cycles / CPU_MHZ) for cycles in CYCLES)
    most = (1e6 / GOAL - fixed) * CPU_MHZ / (calling + TOKEN)
    print(f"  end to end                   {slow:,.0f} to {fast:,.0f} tokens/s; {GOAL:,} up to {most:.1f} cycles")
    in_python = calls * PYTHON_TRANSFER_MICROSECONDS
    total = computing + loading + in_python
    print(f"Python: calls {in_python:,.0f} us, {1e6 / total:,.0f} tokens/s, but for attention, norms and gates")


def text_of(tokens: Sequence[int], vocabulary: Path) -> str:
    """Return tokens as text, by a tokenizer's file of llama2.c: for each token a score, a length and its bytes."""
    data, at, pieces = vocabulary.read_bytes(), 4, []
    while at < len(data):
        _, length = struct.unpack_from("<fi", data, at)
        pieces.append(data[at + 8 : at + 8 + length].decode())
        at += 8 + length
    return "".join(pieces[token] for token in tokens if token > 2).replace("<0x0A>", "\n").strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("vocabulary", type=Path)
    parser.add_argument("--device", choices=("emulated", "rtl"), default="emulated")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--terms", type=int, choices=(1, 2), help="of 4-bit codes in all products; default: by loss")
    parser.add_argument("--report", action="store_true")
    args = parser.parse_args()
    llama = stories_model.load(args.model)
    models = compress(llama, stories_model.sample(llama, *CALIBRATION), terms_of(llama.layers, args.terms))
    if args.report:
        report(llama, models)
    llama.multiply = Array(llama, models, args.device).multiply
    print(text_of(write(llama, args.tokens), args.vocabulary))


if __name__ == "__main__":
    main()
