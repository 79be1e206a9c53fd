// UltraRAM: one write port, one read port whose output is registered, of one clock; zero at power-on by itself.
// It takes no initial contents (AMD UG901), so none are given, and a simulator finds it unknown before it is written.
// A word that is written and read in one cycle reads as undefined: no unit relies on it.
module ultra_ram #(
    parameter DEPTH = 2,
    parameter ADDRESS_BITS = 1,
    parameter WIDTH = 1
) (
    input clk,
    input write,
    input [ADDRESS_BITS-1:0] write_address,
    input [WIDTH-1:0] write_data,
    input [ADDRESS_BITS-1:0] read_address,
    output reg [WIDTH-1:0] read_data
);
    (* ram_style = "ultra" *) reg [WIDTH-1:0] memory [0:DEPTH-1];

    always @(posedge clk) begin
        if (write) memory[write_address] <= write_data;
        read_data <= memory[read_address];
    end
endmodule
