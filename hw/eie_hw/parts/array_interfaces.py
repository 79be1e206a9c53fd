"""Bundles of signals inside the array: from what all clusters share to one cluster and one processing element.

All signals are registered by their driver unless the docstring says otherwise.
"""

from __future__ import annotations

import copy
from typing import TypeVar

from myhdl._Signal import _Signal

from eie.contract import pipeline
from eie.contract.config import (
    ACTIVATION_BITS,
    ACTIVATIONS_PER_WORD,
    CODE_BITS,
    WEIGHT_BITS,
    WORD_BITS,
    ArrayConfig,
)
from eie.contract.isa import ELEMENTWISE, FORMAT, STORE
from eie_hw.parts.interfaces import bit, vector

Bundle = TypeVar("Bundle")


def pair_address_bits(config: ArrayConfig) -> int:
    """Return the bits of (bank, pointer pair)."""
    return config.banks - 1 + (config.pointer_pairs - 1).bit_length()


def group_address_bits(config: ArrayConfig) -> int:
    """Return the bits of an activation group's number."""
    return max(1, (config.activation_groups - 1).bit_length())


def share(bundle: Bundle, **signals: _Signal) -> Bundle:
    """Return a bundle with some of its signals replaced: what a unit sees that gets a part of a vector."""
    unknown = signals.keys() - vars(bundle).keys()
    if unknown:
        raise ValueError(f"{type(bundle).__name__} has no signal {sorted(unknown)}")
    taken = copy.copy(bundle)
    vars(taken).update(signals)
    return taken


class CodebookCopy:
    """The copy of a codebook into all PEs: `write` `weight` as the weight of code `index` for the COMPUTE of `tag`."""

    def __init__(self) -> None:
        self.write = bit()
        self.tag = bit()
        self.index = vector(CODE_BITS)
        self.weight = vector(WEIGHT_BITS)


class ColumnBus:
    """A column to look up in all PEs, and two cycles later the activation to multiply it with.

    ========== ==================================================================
    valid, odd there is a column; its number is odd
    even_address, odd_address  (bank, pair) of its even and odd pointer
    activation two cycles after `valid`
    tag, bank  with `activation`: of its COMPUTE, and of the entries to compute with
    oldest     tag of the oldest COMPUTE that is not done
    ========== ==================================================================
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.valid = bit()
        self.odd = bit()
        self.even_address = vector(pair_address_bits(config))
        self.odd_address = vector(pair_address_bits(config))
        self.activation = vector(ACTIVATION_BITS)
        self.tag = bit()
        self.bank = bit()
        self.oldest = bit()


class AccumulatorParts:
    """Which accumulators COMPUTEs use, by their tags: what stands for the upper two bits of a row.

    ====================== =================================================================
    fix_top_0, fix_top_1   the part of the COMPUTE of that tag is a half or a quarter:
    top_0, top_1           its upper bit
    fix_next_0, fix_next_1 the part is a quarter:
    next_0, next_1         its lower bit
    ====================== =================================================================
    """

    def __init__(self) -> None:
        for name in ("fix_top", "top", "fix_next", "next"):
            for tag in (0, 1):
                setattr(self, f"{name}_{tag}", bit())


class Pick:
    """A non-zero activation to broadcast: (tag, group, lane) as `lane`, taken in a cycle with `valid` and `ready`.

    The tag is that of its COMPUTE.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.valid = bit()
        self.lane = vector(1 + group_address_bits(config) + 2 * pipeline.lane_levels(config))
        self.ready = bit()


class QueuedColumn:
    """The column at the head of a PE's queue, its fields combinational.

    ============= =======================================================================
    valid         there is one:
    even, odd     its first entry, and the one after its last; equal if it is empty,
                  which with `skip_empty` no column here is
    swapped       the first entry is `odd`, not `even`
    first_row     row before which its relative indices count
    activation    to be multiplied with its entries
    tag, bank     of its COMPUTE, and of its entries
    pop           in  it is taken
    ============= =======================================================================
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.valid = bit()
        self.even = vector(config.start_bits)
        self.odd = vector(config.start_bits)
        self.swapped = bit()
        self.first_row = vector(config.row_bits)
        self.activation = vector(ACTIVATION_BITS)
        self.tag = bit()
        self.bank = bit()
        self.pop = bit()


class Entry:
    """An entry to accumulate.

    =========== =======================================================================
    valid       there is one
    code, index its code and relative index; 0 while there is none, like `first`
    first       it is its column's first
    row         row before the first entry of its column
    activation  to be multiplied with its weight
    tag         of its COMPUTE
    =========== =======================================================================
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.valid = bit()
        self.code = vector(CODE_BITS)
        self.index = vector(config.index_bits)
        self.first = bit()
        self.row = vector(config.row_bits)
        self.activation = vector(ACTIVATION_BITS)
        self.tag = bit()


class AccumulatorSteps:
    """The walk of a STORE over the accumulators, see `arithmetic_unit` and `sparse_matrix_read`; for several PEs, all
    but `row` have a bit for each.

    ======= ====================================================================================
    hold    issue no entry: `pipeline.ENTRY_LATENCY` cycles before `advance` and before `clear`
    advance hand out the accumulator of `row`, which comes one cycle later
    clear   one cycle after `advance`: zero it
    ======= ====================================================================================
    """

    def __init__(self, config: ArrayConfig, elements: int | None = None) -> None:
        self.hold = vector(elements) if elements else bit()
        self.advance = vector(elements) if elements else bit()
        self.clear = vector(elements) if elements else bit()
        self.row = vector(config.row_bits)


class OutputSelect:
    """Which accumulator the output units take next: PE of the cluster, and the row of its bias; of an ELEMENTWISE its
    lane is `element`, and `take_first` and `take_second` are for `operand_unit`."""

    def __init__(self, config: ArrayConfig) -> None:
        self.take_first = bit()
        self.take_second = bit()
        self.element = vector(2)
        self.bias_row = vector(config.row_bits)


class OperandRead:
    """A group of operands of an ELEMENTWISE to read from the activation memory."""

    def __init__(self, config: ArrayConfig) -> None:
        self.enable = bit()
        self.group = vector(group_address_bits(config))


class OutputFormat:
    """How outputs are made of sums, or of operands if `elementwise`; holds for an instruction.

    ========== ====================================================================================
    difference the second operand is subtracted,
    maximum    to choose the greater of the two,
    halved     or the result is half of what the curve gives: of the operation, decoded once for all
    ========== ====================================================================================
    """

    def __init__(self) -> None:
        self.elementwise = bit()
        self.operation = vector(ELEMENTWISE.field("operation").width)
        self.difference = bit()
        self.maximum = bit()
        self.halved = bit()
        self.relu = bit()
        self.scaled = bit()
        self.shift = vector(STORE.field("shift").width)
        for field in FORMAT.fields:
            setattr(self, field.name, vector(field.width))


class OutputStep:
    """A step of a STORE on its way to the activation memory: `write` the output units' results to `lane` of each word
    of `group`. They come one cycle later."""

    def __init__(self, config: ArrayConfig) -> None:
        self.write = bit()
        self.lane = vector(2)
        self.group = vector(group_address_bits(config))


class GroupSummary:
    """What is known of a `group` after a write: whether it has a non-zero activation."""

    def __init__(self, config: ArrayConfig) -> None:
        self.write = bit()
        self.group = vector(group_address_bits(config))
        self.nonzero = bit()


class ActivationWrite:
    """The write port of the activation memory, for one cluster or for all.

    =========== ==========================================================================
    keep        a bit for each word of a group: keep `data`, until the group's last word is there
    data, nonzero  four activations, for all clusters a word of the stream each, and which of them are not zero
    load        write what all words of the group have kept
    store       a bit for each lane of a word: write the output unit's result; 0 while `load`
    group       with `load` and `store`
    =========== ==========================================================================
    """

    def __init__(self, config: ArrayConfig, clusters: int | None = None) -> None:
        self.keep = vector(clusters) if clusters else bit()
        self.load = bit()
        together = config.flit_words if clusters else 1
        self.data = vector(together * WORD_BITS)
        self.nonzero = vector(together * ACTIVATIONS_PER_WORD)
        self.store = vector(ACTIVATIONS_PER_WORD)
        self.group = vector(group_address_bits(config))


class ActivationPort:
    """The read ports of the activation memory, seen by a cluster.

    ========== ==================================================================
    read_group in  the group to read
    word       out its four lanes of this cluster, one cycle later
    mask_group in  the group to look at
    mask       out its non-zero lanes of this cluster, in the same cycle
    nonzero    out a non-zero was written in the cycle before
    ========== ==================================================================
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.read_group = vector(group_address_bits(config))
        self.word = vector(WORD_BITS)
        self.mask_group = vector(group_address_bits(config))
        self.mask = vector(ACTIVATIONS_PER_WORD)
        self.nonzero = bit()


class CounterControl:
    """What the small counters of all PEs get, see `element_counters`."""

    def __init__(self) -> None:
        self.reset = bit()
        self.waiting = bit()
