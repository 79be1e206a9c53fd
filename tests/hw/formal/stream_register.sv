// The stream register keeps the contracts of streams and of queues of two words, at full throughput.
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

    reg past = 0, past_reset = 0;
    always @(posedge clk) begin
        past <= 1;
        past_reset <= reset;
    end
    // The first cycle is a reset; registers start at any value.
    always @* assume (past || reset);

    wire [1:0] pushed, popped, waiting, followed;
    wire is_waiting;
    wire [3:0] content;
    queue_contract #(.WIDTH(4), .CAPACITY(2)) queue (
        .clk(clk), .reset(reset), .past(past),
        .push(source_valid && source_ready), .item(source_word),
        .pop(sink_valid && sink_ready), .valid(sink_valid), .head(sink_word),
        .pushed(pushed), .popped(popped), .waiting(waiting),
        .followed(followed), .is_waiting(is_waiting), .content(content)
    );
    stream_contract #(.WIDTH(4)) stream (
        .clk(clk), .reset(reset), .past(past), .valid(sink_valid), .ready(sink_ready), .word(sink_word)
    );

    always @* if (past) begin
        // Full throughput: refuses a word only when two are held (or right after a reset).
        if (!past_reset) assert (source_ready == (waiting != 2));
`ifdef INDUCTION
        // What makes it inductive: where the words are.
        if (past_reset) assert (!source_ready && waiting == 0);
        assert (inside_spare_full == (waiting == 2));
        if (inside_spare_full) assert (!source_ready);
        if (is_waiting && followed != popped) assert (inside_spare == content);
`endif
    end
endmodule
