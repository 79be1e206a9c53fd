"""The platforms reach registers and memory where they lie, and MLPerf Tiny's interface runs a model."""

import dataclasses
import mmap
import re
import subprocess

import numpy as np
import pytest

import eie
from eie.boards.board import board
from eie.contract import registers
from eie.devices.virtual import VirtualBoard
from tests.driver.c.bridge import HERE, PROCESSORS, SOURCES, Runtime, compiled
from tests.pynq.networks import CONFIG, model

BOARD = dataclasses.replace(board("pynq-z2"), config=CONFIG)


@pytest.mark.parametrize("processor", PROCESSORS)
def test_the_platform_of_linux_maps_registers_and_memory_at_their_addresses(processor, folder, tmp_path):
    """A sparse file stands for /dev/mem."""
    program = compiled(processor, folder, HERE / "linux.c", SOURCES / "platform_linux.c")
    memory = tmp_path / "mem"
    with memory.open("w+b") as file:
        for offset, value in registers.constant_values(CONFIG).items():
            file.seek(BOARD.array_address + offset)
            file.write(value.to_bytes(4, "little"))
        file.truncate(1 << 31)
    arguments = [str(memory), hex(BOARD.array_address), hex(BOARD.dma_address), "0x10000000"]
    out = subprocess.run([*program, *arguments], capture_output=True, text=True, timeout=60)
    assert out.returncode == 0, out.stderr
    build, error = out.stdout.splitlines()
    assert build == f"0x{registers.build_hash(CONFIG):08x}"
    assert error == (
        "3: the reset of the DMA does not end: load the overlay again, or restart the board (waited 20000 us)"
    )
    with memory.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
        assert data[BOARD.dma_address] == 4, "the reset bit of the DMA's control register"
        assert data[0x10000000 : 0x10000000 + 4] == b"here"


def test_a_file_that_is_not_there_is_an_error_of_the_system(folder):
    program = compiled("here", folder, HERE / "linux.c", SOURCES / "platform_linux.c")
    out = subprocess.run([*program, "/nothing", "0", "0", "0"], capture_output=True, text=True)
    assert (out.returncode, "No such file" in out.stderr) == (1, True)


def test_the_platform_without_an_operating_system_reads_and_writes_what_lies_at_addresses(folder):
    out = subprocess.run(compiled("here", folder, HERE / "bare.c", SOURCES / "platform_bare.c"), capture_output=True)
    assert out.returncode == 0, out.stderr


def test_mlperf_tiny_loads_infers_and_reports_in_the_words_of_the_harness(command):
    network = dataclasses.replace(model().layers[0], input_fraction_bits=8, output_fraction_bits=4)
    network = eie.Model([network], name="tiny")
    x = np.random.default_rng(3).standard_normal(network.columns).astype(np.float32)
    with Runtime(command, VirtualBoard(BOARD)) as runtime:
        assert runtime.open()[0] == 0
        assert runtime.pack([network], CONFIG)[0] == 0
        text = runtime.command(b"t", data=x.tobytes())[2].decode()
    with eie.Accelerator(eie.EmulatedDevice(CONFIG)) as acc:
        acc.load(network)
        expected = ",".join(f"{value:.3f}" for value in acc.run(x))
    assert re.fullmatch(
        rf"m-timestamp-mode-\[performance\]\r\n(m-lap-us-\d+\r\n){{2}}m-results-\[{re.escape(expected)}\]\r\n", text
    )
