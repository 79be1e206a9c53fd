"""A program as its instructions, by the description of the instruction set alone."""

from eie.contract import isa


def instructions_of(program, config):
    """Yield the instructions of a program of whole ones: each with its fields, and where its words are."""
    position = 0
    while position < len(program):
        header = int(program[position])
        instruction = isa.BY_OPCODE[header & isa.OPCODE_MASK]
        assert instruction.check(config, header) is isa.ErrorCode.NONE
        values = instruction.decode(header)
        end = position + config.flit_words + instruction.payload_words(config, values)
        yield instruction, values, slice(position, end)
        position = end
    assert position == len(program)
