"""A behavioural array with the ports of the real one: the emulation's memories behind the load bus and the commands.

It fails when a load writes what a running command uses: the control unit must hold such a load back.
"""

from __future__ import annotations

import random

import numpy as np
from myhdl import always, block

from eie.contract import isa, pipeline
from eie.contract.bits import unpack_fields
from eie.contract.pipeline import activation_segments
from eie.devices.emulation.machine import Machine

READ_LATENCY = 3


def array_model(seed: int = 0, slowest: int = 60, log: list | None = None):
    """Return an `array` whose commands take a random time up to `slowest` cycles; `log` gets (cycle, event) pairs."""

    @block
    def array(clk, reset, load, compute, store, form, element, read, counters, status, config):
        generator = random.Random(seed)
        machine = Machine(config)
        nothing = np.zeros((1, 0), np.uint64)
        # Commands in progress, in the order of their starts: name, fields, cycles left.
        commands: list[dict] = []
        kinds = {
            "compute": (isa.COMPUTE, compute),
            "store": (isa.STORE, store),
            "element": (isa.ELEMENTWISE, element),
        }
        state = {"clearing": 5, "cycle": 0, "reads": [], "counter": 0, "sums": np.zeros(config.num_pes, np.int64)}
        group_shift = config.activation_groups // activation_segments(config)

        def note(event):
            if log is not None:
                log.append((state["cycle"], event))

        def guard(kind, where):
            """Fail if a load touches a resource of a running command."""
            for command in commands:
                check(command["name"], command["values"], kind, where)

        def check(name, values, kind, where):
            conflict = {
                "bank": name == "compute" and values["bank"] == where,
                "slot": name == "compute" and values["slot"] == where,
                "bias": name == "store",
                "group": name == "element"
                or values.get("scaled")
                or values["address"] // group_shift
                <= where // group_shift
                <= (values["address"] + values["groups"] - 1) // group_shift,
            }[kind]
            assert not conflict, f"load of {kind} {where} during {name} {values}"

        def write_load():
            data, address, pe = int(load.data), int(load.address), int(load.pe)
            bank = int(load.bank)
            together = config.flit_words
            flit = np.frombuffer(data.to_bytes(len(load.data) // 8, "little"), np.uint8)
            words = flit[: config.flit_bytes].view("<u8")
            beats = flit.reshape(together, config.beat_bytes)
            if load.pointer_write:
                guard("bank", bank)
                fields = unpack_fields(beats, config.pointer_bits, 4).reshape(2 * together, 2).T
                pes = slice(2 * together * pe, 2 * together * (pe + 1))
                machine.pointers[bank, 2 * address : 2 * address + 2, pes] = fields
                machine.tiles.forget(bank)
            if load.length_write:
                guard("bank", bank)
                lengths = np.array([data >> 4 * i & 15 for i in range(16 * together)]).reshape(-1, 2)
                first = 8 * together * pe
                lengths = lengths[: config.num_pes - first]
                pes = slice(first, first + len(lengths))
                before = 0 if load.first else state["sums"][pes]
                pointers = np.stack([before + 0 * lengths[:, 0], before + lengths[:, 0]])
                machine.pointers[bank, 2 * address : 2 * address + 2, pes] = pointers % config.entries
                state["sums"][pes] = before + lengths.sum(axis=1)
                machine.tiles.forget(bank)
            if load.entry_write:
                guard("bank", bank)
                machine.entries[bank, pe : pe + together, address] = beats
                machine.tiles.forget(bank)
            if load.codebook_write:
                guard("slot", int(load.slot))
                lanes = slice(4 * together * address, 4 * together * (address + 1))
                machine.codebooks[int(load.slot), lanes] = words.view("<i2")
                machine.codebooks[:, 0] = 0
            if load.bias_write:
                guard("bias", 0)
                by_cluster = machine.biases[address].reshape(config.words_per_group, -1, 2)
                pair, group = divmod(pe, config.words_per_group // together)
                by_cluster[together * group : together * (group + 1), pair] = words.view("<i4").reshape(-1, 2)
            if load.scale_write:
                guard("bias", 0)
                by_cluster = machine.scales[address].reshape(config.scale_memories, 4, -1)
                element, group = divmod(pe, config.scale_memories // together)
                by_cluster[together * group : together * (group + 1), :, element] = words.view("<i2").reshape(-1, 4)
            if load.activation_write:
                guard("group", address)
                lanes = slice(4 * together * pe, 4 * together * (pe + 1))
                machine.state.activations[0, address, lanes] = words.view("<i2")

        def fields(bundle, extra=()):
            others = ("start", "released", "done", "ready", *extra)
            return {k: int(v) for k, v in vars(bundle).items() if k not in others}

        def start(name, values, groups):
            others = [command["name"] for command in commands]
            assert name not in others or (name == "compute" and others.count(name) < pipeline.COMPUTES_AT_ONCE)
            assert state["clearing"] == 0, f"{name} started while the array clears its accumulators"
            # What it reads and writes is apart from what others in progress do: it may take effect at once.
            assert "element" not in others and (name != "element" or not others)
            machine.execute(kinds[name][0], values, nothing, machine.state)
            left = generator.randrange(1, slowest + 1)
            commands.append({"name": name, "values": {**values, "groups": groups}, "left": left})
            note(f"start {name}")

        def advance():
            """Count down; COMPUTEs are done in order."""
            seen = set()
            for command in list(commands):
                command["left"] = max(0, command["left"] - 1)
                if command["left"] == 0 and command["name"] not in seen:
                    commands.remove(command)
                    kinds[command["name"]][1].done.next = True
                    note(f"end {command['name']}")
                seen.add(command["name"])

        @always(clk.posedge)
        def behave():
            state["cycle"] += 1
            compute.done.next = False
            store.done.next = False
            store.released.next = store.start and not reset
            element.done.next = False
            form.done.next = form.start and not reset
            read.valid.next = False
            counters.ready.next = False
            status.broadcast.next = False
            if reset:
                machine.reset()
                commands.clear()
                state.update(clearing=5, reads=[])
                status.clearing.next = True
                return
            state["clearing"] = max(0, state["clearing"] - 1)
            status.clearing.next = state["clearing"] > 0
            strobes = [int(v) for k, v in vars(load).items() if k.endswith("_write")]
            assert sum(strobes) <= 1
            if any(strobes):
                write_load()
                note("load")
            advance()
            if compute.start:
                values = fields(compute)
                start("compute", values, values["count"])
            if store.start:
                values = fields(store)
                start("store", values, values["count"] // config.rows_per_group)
            if element.start:
                start("element", fields(element), int(element.count))
            if form.start:
                machine.execute(isa.FORMAT, fields(form), nothing, machine.state)
            computing = any(command["name"] == "compute" for command in commands)
            status.broadcast.next = status.computing.next = computing
            compute.ready.next = not compute.start and sum(c["name"] == "compute" for c in commands) < 2
            state["reads"].append((int(read.group), int(read.word)) if read.enable else None)
            if len(state["reads"]) >= READ_LATENCY:
                asked = state["reads"].pop(0)
                if asked is not None:
                    group, word = asked
                    lanes = machine.state.activations[0, group, 4 * word : 4 * word + 4]
                    read.data.next = int(lanes.astype("<i2").view("<u8")[0])
                    read.valid.next = True
            if counters.clear:
                machine.clear_counts()
            if counters.enable:
                state["counter"] += 1
                if state["counter"] >= 3:
                    counters.ready.next = True
                    work, padding = machine.work()
                    counts = (work, padding, work * 0 + 7, work * 0 + 9)
                    counters.value.next = int(counts[int(counters.select)][int(counters.pe)]) & 0xFFFFFFFF
            else:
                state["counter"] = 0

        return behave

    return array
