"""Loads reach the memory that they are for: one strobe, the address with its bank, the data in time."""

import random

import pytest
from unit_bench import run_unit

from eie import ArrayConfig
from eie_hw.array.load_decode import load_decode
from eie_hw.parts.interfaces import LoadBus, vector
from eie_hw.parts.load_interfaces import ScaleLoad

CONFIGS = {
    "8 PEs": ArrayConfig(num_pes=8, entries=128, pointers=32, rows=8, activations=64),
    "16 PEs": ArrayConfig(num_pes=16, entries=256, pointers=64, rows=16, activations=64),
    "64 PEs": ArrayConfig(num_pes=64, entries=512, pointers=256, rows=16, activations=256),
    "one bank": ArrayConfig(num_pes=4, entries=64, pointers=16, rows=8, activations=32, banks=1),
    "32 PEs, 128 bits": ArrayConfig(num_pes=32, entries=256, pointers=64, rows=8, activations=128, stream_bits=128),
    "64 PEs, 256 bits": ArrayConfig(num_pes=64, entries=512, pointers=256, rows=16, activations=256, stream_bits=256),
    "128 PEs, 128 bits": ArrayConfig(num_pes=128, entries=1024, pointers=256, rows=4, activations=512, stream_bits=128),
    "one word": ArrayConfig(num_pes=4, entries=16, pointers=16, rows=8, activations=32, entries_per_word=16),
}
KINDS = ("pointer", "length", "entry", "bias", "scale", "codebook", "activation", None)


@pytest.mark.parametrize("name", CONFIGS)
def test_one_strobe_for_the_memory_of_one_pe_pair_or_cluster(name):
    config = CONFIGS[name]
    generator = random.Random(name)
    load = LoadBus(config)
    pes, clusters, together = config.num_pes, config.words_per_group, config.flit_words
    cluster_groups, memory_groups = clusters // together, config.scale_memories // together
    ones = (1 << together) - 1
    pair_bits = (config.pointer_pairs - 1).bit_length()
    word_bits = (config.entry_words - 1).bit_length()
    bank_bits = config.banks - 1
    beat = vector(len(load.data))
    pointer_write, pointer_address = vector(2 * clusters), vector(pair_bits + bank_bits)
    entry_write, entry_address = vector(4 * clusters), vector(max(1, word_bits + bank_bits))
    bias_write, bias_pair, bias_row = vector(clusters), vector(1), vector(config.row_bits)
    scales = ScaleLoad(config, config.scale_memories)
    before: dict = {}
    seen = set()

    def drive(cycle):
        kind = generator.choice(KINDS)
        seen.add(kind)
        for each in KINDS[:-1]:
            getattr(load, f"{each}_write").next = each == kind
        places = {"entry": pes, "length": config.length_words, "scale": config.scale_words}
        now = {"kind": kind, "pe": generator.randrange(places.get(kind, pes // 2) // together)}
        if kind == "entry":
            now["pe"] *= together
        now["address"] = generator.randrange(
            {
                "pointer": config.pointer_pairs,
                "length": config.pointer_pairs,
                "entry": config.entry_words,
                "bias": config.rows,
                "scale": config.rows,
            }.get(kind, 8)
        )
        now["bank"] = generator.randrange(config.banks)
        now["data"] = generator.getrandbits(len(load.data))
        load.pe.next, load.address.next, load.bank.next, load.data.next = (
            now["pe"], now["address"], now["bank"], now["data"],
        )  # fmt: skip
        before["now"] = now

    def look(cycle):
        now, last = before["now"], before.get("last")
        # Biases and scales at once, all others and the data a cycle later.
        pair, cluster_group = divmod(now["pe"], cluster_groups)
        element, memory_group = divmod(now["pe"], memory_groups)
        assert bias_write == (now["kind"] == "bias") * ones << cluster_group * together
        assert scales.write == (now["kind"] == "scale") * ones << memory_group * together
        if now["kind"] == "bias":
            assert (bias_pair, bias_row) == (pair, now["address"])
        if now["kind"] == "scale":
            assert (scales.element, scales.row) == (element, now["address"])
        if last:
            assert beat == last["data"]
            of_lengths = (1 << 4 * together) - 1
            pairs = {
                "pointer": ones << last["pe"] * together,
                "length": (1 << pes // 2) - 1 & of_lengths << 4 * last["pe"] * together,
            }
            assert pointer_write == pairs.get(last["kind"], 0)
            assert entry_write == (last["kind"] == "entry") * ones << last["pe"]
            if last["kind"] in pairs:
                assert pointer_address == last["bank"] << pair_bits | last["address"]
            if last["kind"] == "entry":
                assert entry_address == last["bank"] << word_bits | last["address"]
        before["last"] = now

    def build(clk):
        return load_decode(
            clk, load, beat, pointer_write, pointer_address, entry_write, entry_address, bias_write,
            bias_pair, bias_row, scales, config,
        )  # fmt: skip

    run_unit(build, drive, look, 300)
    assert seen == set(KINDS)
