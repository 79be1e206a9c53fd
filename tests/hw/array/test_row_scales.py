"""Each cluster gets the scale of the PE and row that its output unit takes, as they were loaded."""

import random

import pytest
from unit_bench import run_unit

from eie import ArrayConfig
from eie_hw.array.row_scales import row_scales
from eie_hw.parts.array_interfaces import OutputSelect
from eie_hw.parts.interfaces import vector
from eie_hw.parts.load_interfaces import ScaleLoad

BASE = {"entries": 512, "pointers": 256, "rows": 8, "activations": 256}
CONFIGS = {pes: ArrayConfig(num_pes=pes, **BASE) for pes in (1, 4, 8, 16, 64)}


@pytest.mark.parametrize("pes", CONFIGS)
def test_scales_come_two_cycles_after_their_row_is_selected(pes):
    config = CONFIGS[pes]
    generator = random.Random(pes)
    load, select = ScaleLoad(config), OutputSelect(config)
    clusters = config.scale_clusters
    scales = vector(16 * clusters)
    mask = (1 << 16 * clusters) - 1
    places = [(element, row) for element in range(4) for row in range(config.rows)]
    held = dict.fromkeys(places, 0)
    coming: list = [None, None]
    compared = set()
    state: dict = {"data": 0, "written": None}

    def drive(cycle):
        load.data.next = state["data"]
        # What was written last is not selected yet: it is being written when the read would come.
        if state["written"]:
            held[state["written"]] = state["data"] & mask
        state["data"], state["written"] = generator.getrandbits(len(load.data)), None
        load.write.next = generator.random() < 0.6
        element, row = generator.choice(places)
        load.element.next, load.row.next = element, row
        if load.write.next:
            state["written"] = element, row
        chosen = generator.choice([place for place in places if place != state["written"]])
        select.element.next, select.bias_row.next = chosen
        coming.append((chosen, held[chosen]))

    def look(cycle):
        wanted = coming.pop(0)
        if wanted is not None:
            assert scales == wanted[1], f"cycle {cycle}, {wanted[0]}"
            compared.add(wanted[0])

    def build(clk):
        return row_scales(clk, load, select, scales, config)

    run_unit(build, drive, look, 800)
    assert compared == set(places)
    assert len(set(held.values())) > config.rows
