"""Everything that executes a program: emulation, simulated hardware, PYNQ board, virtual board."""
