// The LNZD node offers exactly the non-zero quarters of each mask, the lowest first, as a stream.
module properties (
    input clk, input reset,
    input mask_valid, input [7:0] mask, input [1:0] position, input quarter_free, input quarter_through, input bit_ready
);
    wire mask_free, mask_through, quarter_valid;
    wire mask_ready = mask_free || mask_through && bit_ready;
    wire quarter_ready = quarter_free || quarter_through && bit_ready;
    wire [1:0] quarter;
    wire [3:0] quarter_position;
    leading_nonzero_node dut (
        .clk(clk), .reset(reset), .mask_valid(mask_valid), .mask(mask), .position(position),
        .mask_free(mask_free), .mask_through(mask_through), .quarter_valid(quarter_valid), .quarter(quarter),
        .quarter_position(quarter_position), .quarter_free(quarter_free), .quarter_through(quarter_through), .bit_ready(bit_ready)
    );
    // Connected to the unit's registers of the same names.
    wire [7:0] inside_held;
    wire [1:0] inside_held_position;
    wire [3:0] inside_remaining;
    wire inside_some, inside_last;

    // The model: what is left of the mask taken last; its lowest non-zero quarter is next.
    reg [7:0] pending = 0, rest;
    reg [1:0] pending_position = 0, lowest;
    integer number;
    always @* begin
        lowest = 0;
        for (number = 3; number >= 0; number = number - 1)
            if (pending[2 * number +: 2] != 0) lowest = number;
        rest = pending;
        rest[2 * lowest +: 2] = 0;
    end
    wire taken = quarter_valid && quarter_ready;
    always @(posedge clk) begin
        if (reset) pending <= 0;
        else if (mask_valid && mask_ready) begin
            pending <= mask;
            pending_position <= position;
        end
        else if (taken) pending <= rest;
    end

    reg past = 0;
    always @(posedge clk) past <= 1;

    stream_contract #(.WIDTH(6)) stream (
        .clk(clk), .reset(reset), .past(past),
        .valid(quarter_valid), .ready(quarter_ready), .word({quarter_position, quarter})
    );

    // The first cycle is a reset; registers start at any value.
    always @* assume (past || reset);

    always @* if (past) begin
        // No loss, no duplication, order.
        assert (quarter_valid == (pending != 0));
        if (quarter_valid) assert (quarter == pending[2 * lowest +: 2] && quarter != 0);
        if (quarter_valid) assert (quarter_position == {pending_position, lowest});
        // The next mask is taken with the last quarter: no gap, and none before it.
        assert (mask_ready == (pending == 0 || quarter_ready && rest == 0));
`ifdef INDUCTION
        // What makes it inductive: where the quarters are.
        for (number = 0; number < 4; number = number + 1) begin
            assert (inside_remaining[number] == (pending[2 * number +: 2] != 0));
            if (inside_remaining[number]) assert (inside_held[2 * number +: 2] == pending[2 * number +: 2]);
        end
        if (pending != 0) assert (inside_held_position == pending_position);
        assert (inside_some == (pending != 0));
        assert (inside_last == (rest == 0));
`endif
    end
endmodule
