// The contract of every queue: items leave in the order in which they came, none is lost, none comes twice, there are
// CAPACITY at most, and an item is offered LATENCY (1 or 2) cycles after it came, if all before it have left.
module queue_contract #(
    parameter WIDTH = 2, parameter CAPACITY = 8, parameter LATENCY = 1,
    parameter BITS = $clog2(CAPACITY) + 1 // of an item's number; twice as many items can be told apart as are waiting
) (
    input clk, input reset,
    input past, // the first cycle is over: a reset, before which registers have any value
    input push, input [WIDTH-1:0] item,
    input pop, input valid, input [WIDTH-1:0] head,
    // For invariants: numbers of the items that come and leave next; the item that is followed, if it is waiting.
    output reg [BITS-1:0] pushed, output reg [BITS-1:0] popped, output [BITS-1:0] waiting,
    output [BITS-1:0] followed, output is_waiting, output reg [WIDTH-1:0] content
);
    // One number, any, is followed from its push to its pop.
    (* anyconst *) reg [BITS-1:0] chosen;
    reg [BITS-1:0] pushed_before = 0;
    initial begin
        pushed = 0;
        popped = 0;
        content = 0;
    end
    wire [BITS-1:0] came = LATENCY == 1 ? pushed : pushed_before;
    wire [BITS-1:0] ahead = chosen - popped, latest = pushed - pushed_before, earlier = pushed_before - popped;
    assign waiting = pushed - popped;
    assign followed = chosen;
    assign is_waiting = ahead < waiting;
    always @(posedge clk) begin
        pushed <= reset ? 0 : pushed + push;
        pushed_before <= reset ? 0 : pushed;
        popped <= reset ? 0 : popped + pop;
        if (push && pushed == chosen) content <= item;
    end

    always @* if (past) begin
        assert (waiting <= CAPACITY);
        assert (valid == (came != popped));
        if (valid && popped == chosen) assert (head == content);
`ifdef INDUCTION
        if (LATENCY == 2) assert (latest <= 1 && earlier <= CAPACITY);
`endif
    end
endmodule
