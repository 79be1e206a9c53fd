// The same as multiply_accumulate.v, as one explicit DSP48E2 (UltraScale+, AMD UG579): for synthesis in its place.
// Inference finds the slice, but spends 48 LUTs on the choice that the slice's own Z multiplexer can make.
module multiply_accumulate (
    input clk,
    input enable,
    input [15:0] weight,
    input [15:0] activation,
    input [47:0] addend,
    input use_total,
    input use_zero,
    output [47:0] total
);
    // Z: 0, P (the last total) or C (the addend); X and Y: the product.
    // W: 0.
    wire [2:0] z = use_zero ? 3'b000 : use_total ? 3'b010 : 3'b011;

    DSP48E2 #(
        .AREG(1), .ACASCREG(1), .BREG(1), .BCASCREG(1), .CREG(0), .DREG(0), .ADREG(0), .MREG(1), .PREG(1),
        .OPMODEREG(0), .ALUMODEREG(0), .INMODEREG(0), .CARRYINREG(0), .CARRYINSELREG(0),
        .USE_MULT("MULTIPLY"), .AMULTSEL("A"), .BMULTSEL("B"), .USE_SIMD("ONE48")
    ) slice (
        .CLK(clk),
        .A({{14{weight[15]}}, weight}), .B({{2{activation[15]}}, activation}), .C(addend), .D(27'd0), .P(total),
        .OPMODE({2'b00, z, 4'b0101}), .ALUMODE(4'd0), .INMODE(5'd0), .CARRYIN(1'b0), .CARRYINSEL(3'd0),
        .RSTA(~enable), .RSTB(1'b0), .RSTC(1'b0), .RSTD(1'b0), .RSTM(1'b0), .RSTP(1'b0),
        .RSTCTRL(1'b0), .RSTALUMODE(1'b0), .RSTINMODE(1'b0), .RSTALLCARRYIN(1'b0),
        .CEA1(1'b0), .CEA2(1'b1), .CEB1(1'b0), .CEB2(1'b1), .CEC(1'b0), .CED(1'b0), .CEAD(1'b0), .CEM(1'b1),
        .CEP(1'b1), .CECTRL(1'b0), .CEALUMODE(1'b0), .CEINMODE(1'b0), .CECARRYIN(1'b0),
        .ACIN(30'd0), .BCIN(18'd0), .PCIN(48'd0), .CARRYCASCIN(1'b0), .MULTSIGNIN(1'b0),
        .ACOUT(), .BCOUT(), .PCOUT(), .CARRYCASCOUT(), .CARRYOUT(), .MULTSIGNOUT(), .OVERFLOW(), .UNDERFLOW(),
        .PATTERNDETECT(), .PATTERNBDETECT(), .XOROUT()
    );
endmodule
