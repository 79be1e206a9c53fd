"""Scripts of transfers and register accesses with their expected results, for any simulator of the whole machine.

A script is a list of steps, plain data that can be played in MyHDL's simulator, in the compiled Verilog and in GHDL:

- ("send", [(data, keep, last), ...]): queue words of 64 bits, which the players make flits of
- ("sent",): wait until all words are taken
- ("take", n): wait for n packets and keep them
- ("read", offset) and ("write", offset, value)
- ("drop",): reset the DMA, that is forget what is queued and what has arrived
- ("cycles", n)
- ("interrupt",): note the level of the interrupt output
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
from machine_bench import words_of
from programs import flit, header, payload, random_program, repeated_program

from eie.contract import isa, registers
from eie.contract.config import ArrayConfig
from eie.contract.isa import ErrorCode
from eie.devices.emulation.device import EmulatedDevice

STATUS = registers.offset("status")
CONTROL = registers.offset("control")
ERRORS = [code for code in ErrorCode if code is not ErrorCode.NONE]
LONGEST_RUN = 200_000


@dataclass
class Script:
    """Steps, and what they are to give: packets, register values (None: any), interrupt levels."""

    config: ArrayConfig
    steps: list[tuple] = field(default_factory=list)
    packets: list[bytes] = field(default_factory=list)
    reads: list[int | None] = field(default_factory=list)
    interrupts: list[bool] = field(default_factory=list)

    def read(self, offset: int, expected: int | None) -> None:
        self.steps.append(("read", offset))
        self.reads.append(expected)

    def add(self, *steps: tuple) -> None:
        self.steps += steps

    def interrupt(self, expected: bool) -> None:
        self.steps += [("cycles", 5), ("interrupt",)]
        self.interrupts.append(expected)

    def run(self, device: EmulatedDevice, program: np.ndarray) -> None:
        """Send a program, and expect the packets that the emulation returns."""
        device.send(program)
        self.add(("send", words_of(program)))
        count = 0
        while len(packet := device.receive(1 << 30)):
            self.packets.append(packet.tobytes())
            count += 1
        self.add(("take", count))

    def check(self, results: dict) -> None:
        """Compare with what a simulator returned."""
        assert [p.hex() for p in self.packets] == results["packets"]
        for number, (expected, found) in enumerate(zip(self.reads, results["reads"], strict=True)):
            assert expected is None or expected == found, f"read {number}: {found:#x} instead of {expected:#x}"
        assert self.interrupts == results["interrupts"]


def fill(config: ArrayConfig, generator: random.Random) -> np.ndarray:
    """Return instructions that write every memory, so that nothing of an earlier program is left."""
    cases = {
        isa.CODEBOOK: [{"slot": s} for s in range(config.codebooks)],
        isa.POINTERS: [{"bank": b, "address": 0, "count": config.pointer_pairs} for b in range(config.banks)],
        isa.ENTRIES: [
            {"bank": b, "pe": p, "address": 0, "count": config.entry_words}
            for b in range(config.banks)
            for p in range(0, config.num_pes, config.flit_words)
        ],
        isa.BIAS: [{"address": 0, "count": config.rows}],
        isa.SCALE: [{"address": 0, "count": config.rows}],
        isa.ACTIVATIONS: [{"address": 0, "count": config.activation_groups}],
    }
    words = []
    for instruction, all_values in cases.items():
        for values in all_values:
            word = instruction.encode(**values)
            words += [*flit(config, word, generator), *payload(config, instruction, word, generator)]
    return np.array(words, "<u8").view(np.uint8)


def identity_script(config: ArrayConfig) -> Script:
    """Read every constant; unknown offsets read 0 and ignore writes; interrupt_enable reads back."""
    script = Script(config)
    for offset, value in registers.constant_values(config).items():
        script.read(offset, value)
    script.add(("write", 0x3F0, 0xFFFFFFFF), ("write", registers.offset("identity"), 0))
    enable = registers.offset("interrupt_enable")
    for offset in (0x3F0, 0x7C, 0x100, 0xFFFC, registers.counter_offset(config.num_pes, "work")):
        script.read(offset, 0)
    script.read(registers.offset("identity"), registers.MAGIC)
    for value in (3, 1, 0):
        script.add(("write", enable, value))
        script.read(enable, value)
    return script


def program_script(config: ArrayConfig, seed: int, programs: int, length: int = 30) -> Script:
    """Random programs back to back, then the counters that the emulation keeps."""
    generator = random.Random(seed)
    script = Script(config)
    device = EmulatedDevice(config)
    script.add(("write", registers.offset("interrupt_enable"), 2))
    script.run(device, np.concatenate([fill(config, generator), random_program(config, generator, length)]))
    script.interrupt(True)
    for _ in range(programs - 1):
        if generator.randrange(3):
            script.run(device, random_program(config, generator, length))
        else:
            script.run(device, repeated_program(config, generator))
    script.add(("cycles", 5), ("write", CONTROL, registers.CONTROL_CLEAR_INTERRUPT))
    script.interrupt(False)
    script.read(STATUS, registers.STATUS_IDLE)
    for name in ("instructions", "broadcasts_low", "broadcasts_high", "saturated_low", "saturated_high", "error_index"):
        script.read(registers.offset(name), device.read_register(registers.offset(name)))
    for pe in range(config.num_pes):
        for counter in ("work", "padding"):
            offset = registers.counter_offset(pe, counter)
            script.read(offset, device.read_register(offset))
    return script


def error_script(config: ArrayConfig, seed: int) -> Script:
    """Each error, what follows it in the stream, a soft reset, and a program that must run right."""
    generator = random.Random(seed)
    script = Script(config)
    done = 0
    for code in ERRORS:
        script.add(("write", registers.offset("interrupt_enable"), 1))
        script.add(("send", words_with_error(config, code, generator)))
        script.add(("send", words_of(random_program(config, generator, 4))), ("sent",), ("cycles", 2 * config.entries))
        script.interrupt(True)
        error = code << registers.STATUS_ERROR_SHIFT
        script.read(STATUS, error | registers.STATUS_IDLE | registers.STATUS_INTERRUPT)
        script.read(registers.offset("error_index"), done + 2)
        done = _recover(script, generator)
        script.read(STATUS, registers.STATUS_IDLE)
    return script


def cut_script(config: ArrayConfig, seed: int, cuts: int) -> Script:
    """Loads cut short at random words; after a soft reset, programs find what was there and what came."""
    generator = random.Random(seed)
    script = Script(config)
    device = EmulatedDevice(config)
    script.run(device, np.concatenate([fill(config, generator), random_program(config, generator, 10)]))
    for _ in range(cuts):
        instruction = generator.choice([i for i in isa.INSTRUCTIONS if i.payload_text != "none"])
        word = header(config, instruction, generator)
        content = payload(config, instruction, word, generator)
        came = generator.randrange(0, len(content), config.flit_words)
        cut = np.array([*flit(config, word, generator), *content[:came]], "<u8").view(np.uint8)
        device.send(cut)
        script.add(("send", words_of(cut)), ("sent",), ("cycles", 20))
        script.read(STATUS, ErrorCode.TRUNCATED << registers.STATUS_ERROR_SHIFT | registers.STATUS_IDLE)
        device.write_register(CONTROL, registers.CONTROL_SOFT_RESET)
        script.add(("write", CONTROL, registers.CONTROL_SOFT_RESET))
        script.run(device, random_program(config, generator, 15))
    return script


def reset_script(config: ArrayConfig, seed: int, resets: int) -> Script:
    """Soft resets at random times in the middle of programs, each followed by a program that must run right."""
    generator = random.Random(seed)
    script = Script(config)
    length = len(words_of(fill(config, random.Random(0))))
    for _ in range(resets):
        program = np.concatenate([fill(config, generator), random_program(config, generator, 30)])
        script.add(("send", words_of(program)), ("cycles", generator.randrange(4, 2 * length)))
        _recover(script, generator)
    return script


def _recover(script: Script, generator: random.Random) -> int:
    """Soft-reset, run a program and return its number of instructions."""
    config = script.config
    reset = ("write", CONTROL, registers.CONTROL_SOFT_RESET)
    script.add(("drop",), reset, ("drop",))
    device = EmulatedDevice(config)
    script.run(device, np.concatenate([fill(config, generator), random_program(config, generator, 10)]))
    script.add(("cycles", 5))
    return device.read_register(registers.offset("instructions"))


def words_with_error(config: ArrayConfig, code: ErrorCode, generator: random.Random) -> list[tuple[int, int, bool]]:
    """Return the words of a packet whose third instruction has the error, with more instructions behind."""

    def full(words: list[int]) -> list[tuple[int, int, bool]]:
        return [(word, 0xFF, False) for word in words]

    words = full(_two_loads(config, generator))
    load = header(config, isa.ACTIVATIONS, generator, count=2)
    content = payload(config, isa.ACTIVATIONS, load, generator)
    if code is ErrorCode.BAD_OPCODE:
        words += full(flit(config, 0x7F, generator))
    elif code is ErrorCode.BAD_FIELD:
        words += full(flit(config, isa.READ.encode(last=0, words=0, address=0, count=0), generator))
    elif code is ErrorCode.OUT_OF_RANGE:
        beyond = isa.READ.encode(last=0, words=0, address=config.activation_groups, count=1)
        words += full(flit(config, beyond, generator))
    elif code is ErrorCode.TRUNCATED:
        words += full([*flit(config, load, generator), *content[: config.flit_words]])
        return [*words[:-1], (words[-1][0], 0xFF, True)]
    elif code is ErrorCode.BAD_KEEP:
        words += full(flit(config, load, generator))
        words += [(content[0], 0x0F, False), *full(content[1:])]
    return words + words_of(random_program(config, generator, 3))


def _two_loads(config: ArrayConfig, generator: random.Random) -> list[int]:
    words = []
    for instruction in (isa.ACTIVATIONS, isa.BIAS):
        word = header(config, instruction, generator)
        words += [*flit(config, word, generator), *payload(config, instruction, word, generator)]
    return words


def timing_script(config: ArrayConfig, seed: int) -> Script:
    """A program without pauses, then every counter: what simulators of one machine must agree on."""
    generator = random.Random(seed)
    script = Script(config)
    script.add(("cycles", 10 * config.rows + 50))  # the accumulators are cleared after a reset
    program = np.concatenate([fill(config, generator), random_program(config, generator, 30)])
    script.run(EmulatedDevice(config), program)
    script.add(("cycles", 10))
    for name in registers.WIDE_COUNTERS:
        script.read(registers.offset(f"{name}_low"), None)
    for pe in range(config.num_pes):
        for counter in registers.PE_COUNTERS:
            script.read(registers.counter_offset(pe, counter), None)
    return script


def play_in_myhdl(script: Script, array, pause: float = 0.0, seed: int = 0) -> dict:
    """Play a script in MyHDL's simulator."""
    from machine_bench import play

    results: dict = {"packets": [], "reads": [], "interrupts": []}

    def run(bench):
        for step in script.steps:
            match step:
                case ("sent",):
                    yield ("wait", lambda: not bench.outbox)
                case ("take", count):
                    yield ("wait", lambda count=count: len(bench.packets) >= count)
                    results["packets"] += [p.tobytes().hex() for p in bench.packets[:count]]
                    yield ("forget", count)
                case ("interrupt",):
                    results["interrupts"].append(bench.interrupt())
                case _:
                    yield step

    bench = play(script.config, array, run, pause=pause, seed=seed, limit=LONGEST_RUN * 10)
    results["reads"] = bench.reads
    return results


def play_on_rtl(script: Script, device) -> dict:
    """Play a script on an `eie.devices.rtl.device.RtlDevice`."""
    results: dict = {"packets": [], "reads": [], "interrupts": []}
    for step in script.steps:
        match step:
            case ("send", words):
                device.send_raw(words)
            case ("sent",):
                device.play_out()
            case ("take", count):
                results["packets"] += [device.receive(1 << 30).tobytes().hex() for _ in range(count)]
            case ("read", offset):
                results["reads"].append(device.peek_register(offset))
            case ("write", offset, value):
                device.write_register(offset, value)
            case ("drop",):
                device.drop_streams()
            case ("cycles", count):
                device.run(count)
            case ("interrupt",):
                results["interrupts"].append(device.interrupt)
    return results
