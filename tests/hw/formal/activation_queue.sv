// The activation queue keeps the contract of queues, and never overflows if broadcasts stop within the slack after `full`.
module properties #(
    parameter HIGH_WATER = 4, // of 8 slots, as units.py builds it
    parameter SLACK = 8 - HIGH_WATER
) (
    input clk, input reset,
    input push, input [1:0] push_data, input pop
);
    wire valid, full;
    wire [1:0] data;
    activation_queue dut (
        .clk(clk), .reset(reset), .push(push), .push_data(push_data), .pop(pop),
        .valid(valid), .data(data), .full(full)
    );
    // Connected to the unit's registers of the same names.
    wire [3:0] inside_count;
    wire [2:0] inside_write_pointer, inside_read_pointer;
    wire [15:0] inside_memory;

    // What the unit may rely on: pops only while valid; a push may follow `full` by less than SLACK cycles.
    reg [SLACK:1] full_before = 0;
    always @(posedge clk) full_before <= reset ? 0 : {full_before, full};
    always @* begin
        assume (!pop || valid);
        assume (!push || !full_before[SLACK]);
    end

    reg past = 0;
    always @(posedge clk) past <= 1;
    // The first cycle is a reset; registers start at any value.
    always @* assume (past || reset);

    wire [3:0] pushed, popped, waiting, followed;
    wire is_waiting;
    wire [1:0] content;
    queue_contract #(.WIDTH(2), .CAPACITY(8)) queue (
        .clk(clk), .reset(reset), .past(past), .push(push), .item(push_data), .pop(pop), .valid(valid), .head(data),
        .pushed(pushed), .popped(popped), .waiting(waiting),
        .followed(followed), .is_waiting(is_waiting), .content(content)
    );

    // What bounds the fill level inductively: while `full` has been high for n cycles, at most n pushes came after it.
    integer age;
    reg [3:0] bound;
    always @* begin
        bound = HIGH_WATER + SLACK;
        for (age = SLACK; age >= 1; age = age - 1) if (!full_before[age]) bound = HIGH_WATER - 1 + age;
    end

    always @* if (past) begin
        assert (full == (waiting >= HIGH_WATER));
`ifdef INDUCTION
        // What makes it inductive: where the items are, and the bound on them.
        assert (waiting <= bound);
        assert (inside_count == waiting);
        assert (inside_write_pointer == pushed[2:0] && inside_read_pointer == popped[2:0]);
        if (is_waiting) assert (inside_memory[2 * followed[2:0] +: 2] == content);
`endif
    end
endmodule
