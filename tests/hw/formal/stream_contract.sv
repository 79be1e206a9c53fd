// The contract of every stream: what is offered stays until it is taken.
module stream_contract #(parameter WIDTH = 2) (
    input clk, input reset,
    input past, // as of queue_contract
    input valid, input ready, input [WIDTH-1:0] word
);
    reg stalled = 0;
    reg [WIDTH-1:0] offered = 0;
    always @(posedge clk) begin
        stalled <= !reset && valid && !ready;
        offered <= word;
    end
    always @* if (past && stalled) assert (valid && word == offered);
endmodule
