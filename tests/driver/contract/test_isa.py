"""The instruction set description: no overlaps, exact round trips, checks in order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import eie
from eie.contract import isa
from eie.contract.functions import Operation
from eie.contract.isa import ErrorCode

CONFIG = eie.ArrayConfig(num_pes=4, entries=64, entries_per_word=8, pointers=64, rows=8, activations=64, codebooks=2)

GOOD = {
    "CODEBOOK": {"slot": 1},
    "POINTERS": {"bank": 1, "address": 0, "count": 32},
    "LENGTHS": {"bank": 1, "address": 0, "count": 32},
    "ENTRIES": {"bank": 1, "pe": 3, "address": 7, "count": 1},
    "BIAS": {"address": 7, "count": 1},
    "ACTIVATIONS": {"address": 15, "count": 1},
    "COMPUTE": {"bank": 1, "part": 7, "slot": 1, "pointers": 1, "address": 1, "count": 15},
    "STORE": {"relu": 1, "scaled": 1, "shift": 47, "bias": 0, "part": 7, "address": 8, "count": 8},
    "READ": {"last": 1, "words": 1, "address": 0, "count": 16},
    "SCALE": {"address": 7, "count": 1},
    "FORMAT": {"pre_shift": 3, "low": 0x8000, "high": 0x7FFF},
    "ELEMENTWISE": {"operation": max(Operation), "shift": 31, "source": 0, "address": 8, "count": 8},
}

OUT_OF_RANGE = [
    ("CODEBOOK", {"slot": 2}),
    ("POINTERS", {"address": 1}),
    ("POINTERS", {"count": 33}),
    ("LENGTHS", {"address": 31, "count": 2}),
    ("ENTRIES", {"pe": 4}),
    ("ENTRIES", {"address": 8}),
    ("BIAS", {"address": 8}),
    ("SCALE", {"address": 8}),
    ("SCALE", {"count": 2}),
    ("ACTIVATIONS", {"address": 16}),
    ("ACTIVATIONS", {"count": 2}),
    ("COMPUTE", {"pointers": 2}),
    ("COMPUTE", {"address": 2}),
    ("COMPUTE", {"slot": 2}),
    ("STORE", {"bias": 1}),
    ("STORE", {"address": 9}),
    ("READ", {"address": 1}),
    ("READ", {"count": 65535}),
    ("ELEMENTWISE", {"address": 9}),
    ("ELEMENTWISE", {"source": 16}),
]


def test_opcodes_differ():
    assert len(isa.BY_OPCODE) == len(isa.INSTRUCTIONS)


def test_there_is_a_good_header_of_every_instruction():
    assert GOOD.keys() == {instruction.name for instruction in isa.INSTRUCTIONS}


def by_name(name):
    return next(i for i in isa.INSTRUCTIONS if i.name == name)


@pytest.mark.parametrize("instruction", isa.INSTRUCTIONS, ids=lambda i: i.name)
def test_the_fields_of_a_header_do_not_overlap(instruction):
    masks = [isa.OPCODE_MASK, *(field.mask for field in instruction.fields)]
    assert sum(masks) == sum(masks) & (2**64 - 1)
    for i, mask in enumerate(masks):
        assert all(mask & other == 0 for other in masks[:i])
        assert mask & instruction.reserved_mask == 0


@given(st.data())
def test_decoding_gives_back_what_was_encoded(data):
    instruction = data.draw(st.sampled_from(isa.INSTRUCTIONS))
    values = {f.name: data.draw(st.integers(0, (1 << f.width) - 1)) for f in instruction.fields}
    word = instruction.encode(**values)
    assert isa.BY_OPCODE[word & isa.OPCODE_MASK] is instruction
    assert instruction.decode(word) == values
    assert word & instruction.reserved_mask == 0


def test_a_value_that_does_not_fit_its_field_is_refused():
    with pytest.raises(ValueError, match="shift=64 does not fit its 6 bits"):
        isa.STORE.encode(**GOOD["STORE"] | {"shift": 64})
    with pytest.raises(ValueError, match="takes"):
        isa.READ.encode(address=0)


@pytest.mark.parametrize("name", GOOD)
def test_the_largest_good_header_passes(name):
    instruction = by_name(name)
    assert instruction.check(CONFIG, instruction.encode(**GOOD[name])) is ErrorCode.NONE


@pytest.mark.parametrize(("name", "change"), OUT_OF_RANGE)
def test_one_beyond_the_largest_is_out_of_range(name, change):
    instruction = by_name(name)
    assert instruction.check(CONFIG, instruction.encode(**GOOD[name] | change)) is ErrorCode.OUT_OF_RANGE


@pytest.mark.parametrize("name", [name for name in GOOD if "count" in GOOD[name]])
def test_a_count_of_zero_is_a_bad_field(name):
    instruction = by_name(name)
    assert instruction.check(CONFIG, instruction.encode(**GOOD[name] | {"count": 0})) is ErrorCode.BAD_FIELD


@pytest.mark.parametrize("name", GOOD)
def test_every_reserved_bit_is_checked(name):
    instruction = by_name(name)
    word = instruction.encode(**GOOD[name])
    for bit in range(64):
        if instruction.reserved_mask >> bit & 1:
            assert instruction.check(CONFIG, word | 1 << bit) is ErrorCode.BAD_FIELD


def test_a_bank_that_the_array_lacks_is_out_of_range():
    one_bank = eie.ArrayConfig(num_pes=4, banks=1)
    word = isa.POINTERS.encode(bank=1, address=0, count=1)
    assert isa.POINTERS.check(one_bank, word) is ErrorCode.OUT_OF_RANGE


def test_a_store_fills_whole_groups():
    single = eie.ArrayConfig(num_pes=1, entries=64, pointers=64, rows=8, activations=64)
    for count, error in ((4, ErrorCode.NONE), (6, ErrorCode.BAD_FIELD), (8, ErrorCode.NONE)):
        word = isa.STORE.encode(relu=0, scaled=0, shift=0, bias=0, part=0, address=0, count=count)
        assert isa.STORE.check(single, word) is error
    assert (
        isa.STORE.check(single, isa.STORE.encode(relu=0, scaled=0, shift=48, bias=0, part=0, address=0, count=4))
        is ErrorCode.BAD_FIELD
    )


def test_payloads_are_whole_stream_words():
    config = eie.ArrayConfig()
    assert config.beat_bytes == 9
    assert isa.ENTRIES.payload_words(config, {"count": 1}) == 2
    assert isa.ENTRIES.payload_words(config, {"count": 8}) == 9
    assert isa.CODEBOOK.payload_words(config, {"slot": 0}) == 4
    assert isa.COMPUTE.payload_words(config, {"count": 3}) == 0
