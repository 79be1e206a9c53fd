// Distributed memory: one write port, one asynchronous read port; zero at power-on.
module lut_ram #(
    parameter DEPTH = 2,
    parameter ADDRESS_BITS = 1,
    parameter WIDTH = 1
) (
    input clk,
    input write,
    input [ADDRESS_BITS-1:0] write_address,
    input [WIDTH-1:0] write_data,
    input [ADDRESS_BITS-1:0] read_address,
    output [WIDTH-1:0] read_data
);
    (* ram_style = "distributed" *) reg [WIDTH-1:0] memory [0:DEPTH-1];
    integer i;
    initial for (i = 0; i < DEPTH; i = i + 1) memory[i] = 0;

    always @(posedge clk) if (write) memory[write_address] <= write_data;
    assign read_data = memory[read_address];
endmodule
