// Block memory: one write port, one read port whose output is registered; zero at power-on.
// A word that is written and read in one cycle reads as undefined: no unit relies on it.
module block_ram #(
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
    (* ram_style = "block" *) reg [WIDTH-1:0] memory [0:DEPTH-1];
    integer i;
    initial for (i = 0; i < DEPTH; i = i + 1) memory[i] = 0;

    always @(posedge clk) begin
        if (write) memory[write_address] <= write_data;
        read_data <= memory[read_address];
    end
endmodule
