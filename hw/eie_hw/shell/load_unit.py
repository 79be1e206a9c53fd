"""Carries out a load: turns its payload into writes on the load bus."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block

from eie.contract.config import CODEBOOK_SIZE, WEIGHT_BITS, WORD_BITS, ArrayConfig
from eie.contract.isa import (
    ACTIVATIONS,
    BIAS,
    CODEBOOK,
    ENTRIES,
    INSTRUCTIONS,
    LENGTHS,
    OPCODE_BITS,
    POINTERS,
    SCALE,
)
from eie_hw.parts.interfaces import ADDRESS_BITS, LoadBus, bit, counter, vector
from eie_hw.shell.gearbox import gearbox
from eie_hw.shell.header_check import field, field_signal

LOADS = (CODEBOOK, POINTERS, LENGTHS, ENTRIES, BIAS, SCALE, ACTIVATIONS)
CODEBOOK_WORDS = CODEBOOK_SIZE * WEIGHT_BITS // WORD_BITS


@block
def load_unit(
    clk: Signal,
    header: Signal,
    prepare: Signal,
    word_there: Signal,
    word_valid: Signal,
    word: Signal,
    ends_load: Signal,
    load: LoadBus,
    config: ArrayConfig,
):
    """Write one load's payload.

    **Ports**

    =========== === ===================================================================================
    clk         in
    header      in  the checked 64-bit header; holds until the payload is complete
    prepare     in  no payload; for a cycle at least, one after the header's first
    word_there  in  a flit is there, whatever it is
    word_valid  in  it is the payload's; always taken
    word        in  a flit
    ends_load   out the next flit is the payload's last (known before it arrives)
    load        out load bus
    =========== === ===================================================================================

    **Timing**: a write one cycle after the flit that completes its beat.

    Beats, as many side by side as a flit has words, come in two nested loops: over addresses, and in each over `pe`
    (pairs or eights of PEs, words of biases, of scales or of a group). An ENTRIES stays at its PEs, a CODEBOOK counts
    its words as addresses.
    """
    beat_valid = bit()
    beat = vector(len(load.data))
    narrow = bit()
    completes = bit()
    first, ended = bit(), bit()
    is_codebook, is_pointers, is_lengths, is_entries, is_bias, is_scale, is_activations = (bit() for _ in LOADS)
    address = counter(ADDRESS_BITS)
    remaining = vector(ADDRESS_BITS)
    place = vector(len(load.pe))
    last_place = vector(len(load.pe))
    slot = field_signal(header, CODEBOOK, "slot")
    pe = field_signal(header, ENTRIES, "pe")
    count = field_signal(header, ENTRIES, "count")
    first_address = field_signal(header, ENTRIES, "address")
    bank = field(ENTRIES, "bank").offset

    codebook_code, pointers_code, entries_code = CODEBOOK.opcode, POINTERS.opcode, ENTRIES.opcode
    lengths_code = LENGTHS.opcode
    bias_code, scale_code, activations_code = BIAS.opcode, SCALE.opcode, ACTIVATIONS.opcode
    together = config.flit_words
    last_pair = config.pe_pairs // together - 1
    last_word = config.words_per_group // together - 1
    last_lengths = config.length_words // together - 1
    last_scales = config.scale_words // together - 1
    codebook_words = CODEBOOK_WORDS // together
    beat_bytes = together * config.beat_bytes

    cutter = gearbox(clk, prepare, narrow, word_there, word_valid, word, completes, beat_valid, beat, beat_bytes)

    # Registers, a bit each: the strobes wait for flits, not for the opcode.
    @always(clk.posedge)
    def decode():
        is_codebook.next = header[OPCODE_BITS:] == codebook_code
        is_pointers.next = header[OPCODE_BITS:] == pointers_code
        is_lengths.next = header[OPCODE_BITS:] == lengths_code
        is_entries.next = header[OPCODE_BITS:] == entries_code
        is_bias.next = header[OPCODE_BITS:] == bias_code
        is_scale.next = header[OPCODE_BITS:] == scale_code
        is_activations.next = header[OPCODE_BITS:] == activations_code
        narrow.next = header[OPCODE_BITS:] != pointers_code and header[OPCODE_BITS:] != entries_code

    @always_comb
    def look_ahead():
        ends_load.next = completes and place == last_place and remaining == 1

    # A cycle behind what it follows from: in time for the first flit.
    @always(clk.posedge)
    def set_bound():
        if is_codebook:
            last_place.next = 0
        elif is_entries:
            last_place.next = pe
        elif is_activations:
            last_place.next = last_word
        elif is_lengths:
            last_place.next = last_lengths
        elif is_scale:
            last_place.next = last_scales
        else:
            last_place.next = last_pair

    # In the cycle of the writes, which is a cycle later: there they are the address and `first` of the bus.
    @always(clk.posedge)
    def count_addresses():
        ended.next = word_valid and completes and place == last_place
        if prepare:
            address.next = first_address
            first.next = True
        elif ended:
            address.next = address + 1
            first.next = False

    @always(clk.posedge)
    def count_beats():
        if prepare:
            remaining.next = count
            place.next = 0
            if is_codebook:
                remaining.next = codebook_words
            elif is_entries:
                place.next = pe
        elif word_valid and completes:
            if place == last_place:
                remaining.next = remaining - 1
                if not is_entries:
                    place.next = 0
            else:
                place.next = place + 1

    @always(clk.posedge)
    def tag():
        load.pe.next = place
        load.bank.next = header[bank]
        load.slot.next = slot
        load.length_write.next = word_valid and completes and is_lengths
        load.pointer_write.next = word_valid and completes and is_pointers
        load.entry_write.next = word_valid and completes and is_entries
        load.codebook_write.next = word_valid and completes and is_codebook
        load.bias_write.next = word_valid and completes and is_bias
        load.scale_write.next = word_valid and completes and is_scale
        load.activation_write.next = word_valid and completes and is_activations
        load.group_end.next = word_valid and completes and is_activations and place == last_place

    @always_comb
    def pass_data():
        load.data.next = beat
        load.address.next = address
        load.first.next = first

    return cutter, decode, look_ahead, set_bound, count_addresses, count_beats, tag, pass_data


def same_fields_everywhere() -> bool:
    """Tell whether fields of one name lie at one place in all loads, which is what the loops above read."""
    places: dict[str, set[tuple[int, int]]] = {}
    for instruction in INSTRUCTIONS:
        for f in instruction.fields:
            places.setdefault(f.name, set()).add((f.offset, f.width))
    return all(len(found) == 1 for name, found in places.items() if name in ("address", "count", "bank", "pe", "slot"))


if not same_fields_everywhere():
    raise ValueError("the load unit reads address, count, bank, pe and slot at the same bits of every header")
