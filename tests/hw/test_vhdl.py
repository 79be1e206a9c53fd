"""The converted VHDL, simulated by GHDL under third-party bus models, gives what the emulation gives."""

import pytest
import scripts

from eie import ArrayConfig

CONFIGS = {
    1: ArrayConfig(num_pes=1, entries=64, pointers=16, rows=8, activations=64, banks=1, codebooks=2),
    4: ArrayConfig(num_pes=4, entries=128, pointers=34, rows=8, activations=64, queue_depth=4, ultra_ram=True),
    16: ArrayConfig(num_pes=16, entries=256, pointers=64, rows=8, activations=256, index_bits=4, entries_per_word=4),
    64: ArrayConfig(num_pes=64, entries=64, pointers=128, rows=4, activations=256),
}
WIDE = {
    128: ArrayConfig(num_pes=32, entries=32, pointers=64, rows=4, activations=128, stream_bits=128),
    256: ArrayConfig(num_pes=64, entries=64, pointers=128, rows=4, activations=256, stream_bits=256),
}
PAPER_LIKE = ArrayConfig(
    num_pes=4, entries=128, pointers=32, rows=8, activations=64, index_bits=4, first_row=False, skip_empty=False
)


@pytest.mark.parametrize("pause", [0, 0.5])
def test_registers_serve_the_description(ghdl, pause):
    script = scripts.identity_script(CONFIGS[4])
    script.check(ghdl(script, pause))


def test_memories_that_are_unknown_before_they_are_written_equal_the_emulation(ghdl):
    script = scripts.program_script(CONFIGS[4], seed=6, programs=2, length=15)
    script.check(ghdl(script, 0))


@pytest.mark.full
@pytest.mark.parametrize("pes", [1, 4, 16])
@pytest.mark.parametrize("pause", [0, 0.4])
def test_random_programs_of_every_instruction_equal_the_emulation(ghdl, pes, pause):
    script = scripts.program_script(CONFIGS[pes], seed=pes, programs=4)
    script.check(ghdl(script, pause))


@pytest.mark.full
def test_sixty_four_pes_equal_the_emulation(ghdl):
    script = scripts.program_script(CONFIGS[64], seed=64, programs=1, length=12)
    script.check(ghdl(script, 0.1))


def test_the_paper_arrays_choices_equal_the_emulation(ghdl):
    script = scripts.program_script(PAPER_LIKE, seed=5, programs=2, length=15)
    script.check(ghdl(script, 0.3))


@pytest.mark.full
@pytest.mark.parametrize("bits", WIDE)
def test_several_words_of_the_stream_at_once_equal_the_emulation(ghdl, bits):
    script = scripts.program_script(WIDE[bits], seed=2, programs=1, length=12)
    script.check(ghdl(script, 0.2))


@pytest.mark.parametrize("bits", [128, pytest.param(256, marks=pytest.mark.full)])
def test_errors_of_wide_streams_are_reported_and_recovered_from(ghdl, bits):
    script = scripts.error_script(WIDE[bits], seed=32)
    script.check(ghdl(script, 0.2))


@pytest.mark.full
@pytest.mark.parametrize("pes", [1, 4, 16])
def test_every_error_is_reported_and_recovered_from(ghdl, pes):
    script = scripts.error_script(CONFIGS[pes], seed=pes)
    script.check(ghdl(script, 0.2))


@pytest.mark.full
@pytest.mark.parametrize("pes", [1, 4, 16])
def test_resets_in_the_middle_leave_the_next_program_right(ghdl, pes):
    script = scripts.reset_script(CONFIGS[pes], seed=pes, resets=6)
    script.check(ghdl(script, 0.2))
