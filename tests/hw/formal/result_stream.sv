// The words of READs keep the contracts of queues and of streams on their way to the host, whatever the sink does: the
// memory is never asked for more than has a place.
module properties (
    input clk, input reset,
    input start, input last, input [3:0] words, address, count,
    input memory_valid, input [1:0] memory_data, input sink_ready
);
    localparam PLACES = 4; // in the queue, as units.py builds it; one more word is offered
    wire done, memory_enable, sink_keep, sink_last, sink_valid, empty;
    wire [1:0] sink_data;
    result_stream dut (
        .clk(clk), .reset(reset),
        .command_start(start), .command_done(done), .command_last(last), .command_words(words),
        .command_address(address), .command_count(count),
        .memory_enable(memory_enable), .memory_valid(memory_valid), .memory_data(memory_data),
        .sink_data(sink_data), .sink_keep(sink_keep), .sink_last(sink_last), .sink_valid(sink_valid),
        .sink_ready(sink_ready), .empty(empty)
    );
    // Connected to the unit's signals of the same names.
    wire [2:0] inside_written, inside_fetched, inside_credit;
    wire inside_has_place, inside_waiting;
    wire [2:0] inside_entry;
    wire [11:0] inside_memory;

    // What the unit may rely on: the memory answers what it was asked, at any later time, but for what it was asked
    // before a reset; no word comes as a READ starts.
    reg [3:0] unanswered = 0;
    always @(posedge clk) unanswered <= reset ? 0 : unanswered + memory_enable - memory_valid;
    always @* begin
        assume (!memory_valid || unanswered != 0);
        assume (!memory_valid || !start && !reset);
    end

    reg past = 0;
    always @(posedge clk) past <= 1;
    // The first cycle is a reset; registers start at any value.
    always @* assume (past || reset);

    wire [3:0] pushed, popped, waiting, followed;
    wire is_waiting;
    wire [2:0] content;
    queue_contract #(.WIDTH(3), .CAPACITY(PLACES + 1), .LATENCY(2)) queue (
        .clk(clk), .reset(reset), .past(past), .push(memory_valid), .item(inside_entry),
        .pop(sink_valid && sink_ready), .valid(sink_valid), .head({sink_last, sink_data}),
        .pushed(pushed), .popped(popped), .waiting(waiting),
        .followed(followed), .is_waiting(is_waiting), .content(content)
    );
    stream_contract #(.WIDTH(3)) stream (
        .clk(clk), .reset(reset), .past(past), .valid(sink_valid), .ready(sink_ready), .word({sink_last, sink_data})
    );

    wire [3:0] fetched = popped + sink_valid;
    wire [3:0] queued = pushed - fetched;
    always @* if (past) begin
        assert (empty == (waiting == 0));
`ifdef INDUCTION
        // What makes it inductive: every place is free, asked for or taken; where the words are.
        assert (inside_credit <= PLACES && unanswered <= PLACES && queued <= PLACES);
        assert (inside_credit + memory_enable + unanswered + queued == PLACES);
        assert (inside_has_place == (inside_credit != 0));
        assert (inside_waiting == (queued != 0));
        assert (inside_written == pushed[2:0] && inside_fetched == fetched[2:0]);
        if (is_waiting && !(sink_valid && followed == popped))
            assert (inside_memory[3 * followed[1:0] +: 3] == content);
`endif
    end
endmodule
