// Multiply-accumulate of one DSP slice: total <= weight * activation + (addend, the last total, or 0).
// The operands are registered, then the product, then the total.
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
    reg signed [15:0] weight_held, activation_held;
    reg signed [31:0] product;
    reg signed [47:0] total_held;
    wire signed [47:0] base = use_zero ? 48'sd0 : use_total ? total_held : $signed(addend);

    always @(posedge clk) begin
        weight_held <= enable ? $signed(weight) : 16'sd0;
        activation_held <= activation;
        product <= weight_held * activation_held;
        total_held <= base + product;
    end

    assign total = total_held;
endmodule
