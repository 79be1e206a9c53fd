"""Four lanes of every group: words from loads, kept until they are written, lanes from outputs, and their mask."""

import random

from unit_bench import run_unit

from eie import ArrayConfig
from eie_hw.array.activation_memory import activation_memory
from eie_hw.parts.array_interfaces import ActivationPort, ActivationWrite, share
from eie_hw.parts.interfaces import bit, vector

CONFIG = ArrayConfig(num_pes=4, entries=64, pointers=16, rows=8, activations=32)
GROUPS = CONFIG.activation_groups


def test_words_and_masks_are_those_written_last():
    generator = random.Random(1)
    load_keep, load_write, nonzero = bit(), bit(), bit()
    kept = [0, 0]
    load_data, load_nonzero, word = vector(64), vector(4), vector(64)
    store_write, store_data = vector(4), vector(16)
    write_group, read_group, mask_group = (vector(3) for _ in range(3))
    mask = vector(4)
    memory = [[0] * 4 for _ in range(GROUPS)]
    state = {"word": None, "nonzero": None}
    written = {"load": 0, "store": 0, "neither": 0}

    def value():
        return generator.choice((0, 1, 0x8000, generator.getrandbits(16)))

    def drive(cycle):
        kind = generator.choice(list(written))
        written[kind] += 1
        lanes = [value() for _ in range(4)]
        load_write.next = kind == "load"
        load_keep.next = generator.random() < 0.5
        load_data.next = sum(v << 16 * i for i, v in enumerate(lanes))
        load_nonzero.next = sum((v != 0) << i for i, v in enumerate(lanes))
        store_write.next = generator.getrandbits(4) if kind == "store" else 0
        store_data.next = value()
        write_group.next, read_group.next, mask_group.next = (generator.randrange(GROUPS) for _ in range(3))

    def look(cycle):
        assert mask == sum((v != 0) << i for i, v in enumerate(memory[mask_group]))
        if cycle:
            assert word == state["word"]
            assert bool(nonzero) == state["nonzero"]
        state["word"] = sum(v << 16 * i for i, v in enumerate(memory[read_group]))
        state["nonzero"] = bool(load_write and kept[1]) or bool(store_write and store_data)
        for lane in range(4):
            if load_write:
                memory[write_group][lane] = kept[0] >> 16 * lane & 0xFFFF
            elif store_write[lane]:
                memory[write_group][lane] = int(store_data)
        if load_keep:
            kept[:] = int(load_data), int(load_nonzero)

    def build(clk):
        write = share(
            ActivationWrite(CONFIG), keep=load_keep, load=load_write, data=load_data, nonzero=load_nonzero,
            store=store_write, group=write_group,
        )  # fmt: skip
        port = share(
            ActivationPort(CONFIG), read_group=read_group, word=word, mask_group=mask_group, mask=mask, nonzero=nonzero
        )
        return activation_memory(clk, write, store_data, port, CONFIG)

    run_unit(build, drive, look, 600)
    assert min(written.values()) > 100
