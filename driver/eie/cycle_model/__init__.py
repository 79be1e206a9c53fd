"""Clock cycles of a COMPUTE, a program, a network and a board, equal to the hardware's counters."""
