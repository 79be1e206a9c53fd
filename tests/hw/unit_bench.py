"""A clocked bench for single units: inputs change after the rising edge, outputs are looked at just before it."""

from __future__ import annotations

from collections.abc import Callable

from myhdl import Simulation, StopSimulation, block, delay, instance

from eie_hw.parts.interfaces import bit


def run_unit(build: Callable, drive: Callable[[int], None], look: Callable[[int], None], cycles: int) -> None:
    """Clock `build(clk)` for some cycles: in cycle t `drive(t)` sets the inputs, then `look(t)` sees all signals."""

    @block
    def bench():
        clk = bit()
        unit = block(build)(clk)

        @instance
        def steps():
            for cycle in range(cycles):
                drive(cycle)
                yield delay(1)
                look(cycle)
                clk.next = True
                yield delay(1)
                clk.next = False
            raise StopSimulation

        return unit, steps

    simulation = Simulation(bench())
    simulation.run(quiet=True)
    simulation.quit()
