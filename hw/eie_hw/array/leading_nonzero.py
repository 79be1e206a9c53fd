"""Leading non-zero detection: a registered quadtree that walks the set bits of masks, one a cycle, lowest first."""

from __future__ import annotations

from myhdl import always, always_comb, block, concat

from eie.contract.pipeline import quadtree_levels
from eie_hw.parts.entity import entity
from eie_hw.parts.interfaces import bit, vector


@block
def leading_nonzero_node(
    clk, reset, mask_valid, mask, position, mask_free, mask_through, quarter_valid, quarter, quarter_position,
    quarter_free, quarter_through, bit_ready,
):  # fmt: skip
    """Cut a mask into quarters and pass on those that are not zero, lowest first.

    **Ports**

    ================ === ===================================================================================
    mask_valid       in  a mask is offered
    mask             in  four quarters, or the lower two of them
    position         in  its number among its siblings, and theirs, ...
    mask_free        out it is taken,
    mask_through     out or it is if `bit_ready`
    quarter_valid    out a non-zero quarter of the mask taken last is offered
    quarter          out a quarter of the mask
    quarter_position out (`position`, number of the quarter)
    quarter_free     in  it is taken,
    quarter_through  in  or it is if `bit_ready`
    bit_ready        in  at the end of all nodes
    ================ === ===================================================================================

    **Timing**: a mask taken in cycle t offers its first quarter in cycle t + 1 and one more in every cycle in which
    one is taken. The next mask is taken together with the last quarter, so there is no gap. A zero mask takes one
    cycle. Nodes tell one another in one cycle what they would take with `bit_ready` and without, so that no chain of
    gates waits for it; each is an entity, lest a tool makes one again.
    """
    width = len(quarter)
    taken, held, offered = vector(len(mask)), vector(4 * width), vector(4 * width)
    held_position = vector(len(position))
    remaining, rest, quarters = vector(4), vector(4), vector(4)
    child = vector(2)
    advance, load = bit(), bit()
    # What the handshake must know of `remaining`: registers of their own, for nodes ask one another in one cycle.
    # Without a mask `last` is high, too: so what comes next does not wait for the handshake, which only enables.
    some, last = bit(), bit()

    @always_comb
    def widen():
        held.next = taken
        offered.next = mask

    @always_comb
    def choose():
        if remaining[0]:
            child.next = 0
            quarter.next = held[width:]
            rest.next = remaining & 0b1110
        elif remaining[1]:
            child.next = 1
            quarter.next = held[2 * width : width]
            rest.next = remaining & 0b1100
        elif remaining[2]:
            child.next = 2
            quarter.next = held[3 * width : 2 * width]
            rest.next = remaining & 0b1000
        else:
            child.next = 3
            quarter.next = held[4 * width : 3 * width]
            rest.next = 0

    @always_comb
    def place():
        quarter_valid.next = some
        quarter_position.next = concat(held_position, child)

    @always_comb
    def handshake():
        advance.next = not some or quarter_free or (quarter_through and bit_ready)
        load.next = not some or (quarter_free and last) or (quarter_through and last and bit_ready)
        mask_free.next = not some or (quarter_free and last)
        mask_through.next = quarter_through and last

    @always_comb
    def look():
        quarters.next[0] = mask_valid and offered[width:] != 0
        quarters.next[1] = mask_valid and offered[2 * width : width] != 0
        quarters.next[2] = mask_valid and offered[3 * width : 2 * width] != 0
        quarters.next[3] = mask_valid and offered[4 * width : 3 * width] != 0

    @always(clk.posedge)
    def hold():
        if reset:
            remaining.next = 0
            some.next = False
            last.next = True
        elif advance:
            if last:
                remaining.next = quarters
                some.next = quarters != 0
                last.next = quarters == 0 or quarters == 1 or quarters == 2 or quarters == 4 or quarters == 8
            else:
                remaining.next = rest
                some.next = rest != 0
                last.next = rest == 0 or rest == 1 or rest == 2 or rest == 4 or rest == 8
        if load:
            taken.next = mask
            held_position.next = position

    return widen, choose, place, handshake, look, hold


@block
def leading_nonzero(
    clk, reset, mask_valid, mask, position, mask_ready, bit_valid, bit_position, bit_ready, tag, holding
):
    """Walk the set bits of one mask after another: nodes from the whole mask down to single bits.

    **Ports**

    ============ === ==========================================================================
    mask_valid   in  a mask is offered
    mask         in  4 ** levels bits, or half of that
    position     in  its number, above it a tag
    mask_ready   out it is taken
    bit_valid    out a set bit is offered
    bit_position out (`position`, its number in the mask)
    bit_ready    in  it is taken
    tag          in  a tag
    holding      out set bits of masks with that tag remain in some node
    ============ === ==========================================================================

    **Timing**: the first bit of a mask taken in cycle t is offered in cycle t + levels; then one a cycle, across
    masks that are not zero, in ascending order.
    """
    free, through = bit(), bit()
    nodes = leading_nonzero_nodes(
        clk, reset, mask_valid, mask, position, free, through, bit_valid, bit_position, bit_ready, tag, holding
    )

    @always_comb
    def answer():
        mask_ready.next = free or (through and bit_ready)

    return nodes, answer


@block
def leading_nonzero_nodes(
    clk, reset, mask_valid, mask, position, mask_free, mask_through, bit_valid, bit_position, bit_ready, tag, holding
):
    """A node and all below it; ports as those of `leading_nonzero` and of its node."""
    if len(mask) <= 4:
        single = vector(1)
        leaf_top = len(bit_position) - 1
        leaf_valid, leaf_free, leaf_through = bit(), bit(), bit()
        leaf = entity(
            leading_nonzero_node(
                clk, reset, mask_valid, mask, position, mask_free, mask_through, leaf_valid, single, bit_position,
                leaf_free, leaf_through, bit_ready,
            )
        )  # fmt: skip

        @always_comb
        def finish():
            leaf_free.next = False
            leaf_through.next = True
            bit_valid.next = leaf_valid
            holding.next = leaf_valid and bit_position[leaf_top] == tag

        return leaf, finish

    quarter = vector(4 ** (quadtree_levels(len(mask)) - 1))
    quarter_position = vector(len(position) + 2)
    quarter_valid, quarter_free, quarter_through, holding_below = bit(), bit(), bit(), bit()
    top = len(quarter_position) - 1
    node = entity(
        leading_nonzero_node(
            clk, reset, mask_valid, mask, position, mask_free, mask_through, quarter_valid, quarter, quarter_position,
            quarter_free, quarter_through, bit_ready,
        )
    )  # fmt: skip
    below = leading_nonzero_nodes(
        clk, reset, quarter_valid, quarter, quarter_position, quarter_free, quarter_through, bit_valid, bit_position,
        bit_ready, tag, holding_below,
    )  # fmt: skip

    @always_comb
    def collect():
        holding.next = (quarter_valid and quarter_position[top] == tag) or holding_below

    return node, below, collect
