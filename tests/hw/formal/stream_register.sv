// The stream register is a first-in, first-out buffer of at most two words that keeps the AXI4-Stream rules.
module properties (
    input clk, input reset,
    input [1:0] source_data, input source_keep, input source_last, input source_valid,
    input sink_ready
);
    wire source_ready, sink_valid, sink_keep, sink_last;
    wire [1:0] sink_data;
    stream_register dut (
        .clk(clk), .reset(reset),
        .source_data(source_data), .source_keep(source_keep), .source_last(source_last),
        .source_valid(source_valid), .source_ready(source_ready),
        .sink_data(sink_data), .sink_keep(sink_keep), .sink_last(sink_last),
        .sink_valid(sink_valid), .sink_ready(sink_ready)
    );
    // Connected to the unit's registers of the same names.
    wire inside_spare_full;
    wire [3:0] inside_spare;

    wire [3:0] source_word = {source_last, source_keep, source_data};
    wire [3:0] sink_word = {sink_last, sink_keep, sink_data};
    wire accepted = source_valid && source_ready;
    wire delivered = sink_valid && sink_ready;

    // The model: words accepted and not delivered, the oldest first.
    reg [1:0] count = 0;
    reg [3:0] oldest = 0, second = 0;
    wire [1:0] left = count - delivered;
    always @(posedge clk) begin
        count <= reset ? 0 : left + accepted;
        if (delivered) oldest <= second;
        if (accepted && left == 0) oldest <= source_word;
        if (accepted && left != 0) second <= source_word;
    end

    reg past = 0, past_reset = 0, past_stalled = 0;
    reg [3:0] past_word = 0;
    always @(posedge clk) begin
        past <= 1;
        past_reset <= reset;
        past_stalled <= sink_valid && !sink_ready;
        past_word <= sink_word;
    end

    // The first cycle is a reset; registers start at any value.
    always @* assume (past || reset);

    always @* if (past) begin
        // No loss, no duplication, order.
        assert (count <= 2);
        assert (sink_valid == (count != 0));
        if (sink_valid) assert (sink_word == oldest);
        // Full throughput: refuses a word only when two are held (or right after a reset).
        if (!past_reset) assert (source_ready == (count != 2));
        // AXI4-Stream: an offered word stays until it is taken.
        if (!past_reset && past_stalled) assert (sink_valid && sink_word == past_word);
`ifdef INDUCTION
        // What makes it inductive: where the words are.
        if (past_reset) assert (!source_ready && count == 0);
        assert (inside_spare_full == (count == 2));
        if (inside_spare_full) assert (!source_ready && inside_spare == second);
`endif
    end
endmodule
