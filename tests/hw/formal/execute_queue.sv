// The execute queue keeps the contract of queues, whatever its instructions take and in whichever order they are done:
// each is taken once and in order, from a slot that holds it until it retires.
module properties (
    input clk, input reset,
    input push, input [63:0] header, input [1:0] segments, input hold,
    input compute_done, compute_ready, store_done, store_released, read_done, form_done, element_done
);
    localparam SLOTS = 4; // as units.py builds it
    wire full, empty, retire, compute_start, store_start, read_start, form_start, element_start;
    wire [1:0] ticket, retired;
    execute_queue dut (
        .clk(clk), .reset(reset), .push(push), .header(header), .segments(segments), .full(full), .empty(empty),
        .ticket(ticket), .retire(retire), .retired(retired), .hold(hold),
        .compute_start(compute_start), .compute_done(compute_done), .compute_ready(compute_ready),
        .store_start(store_start), .store_done(store_done), .store_released(store_released),
        .read_start(read_start), .read_done(read_done), .form_start(form_start), .form_done(form_done),
        .element_start(element_start), .element_done(element_done)
    );
    // Connected to the unit's signals of the same names.
    wire [2:0] inside_held;
    wire [1:0] inside_written, inside_following, inside_taken, inside_over;
    wire inside_waiting, inside_more, inside_available;
    wire [70:0] inside_head;
    wire [4:0] inside_takes; // compute, store, read, form, element
    wire inside_one, inside_two, inside_store_busy, inside_read_busy, inside_form_busy, inside_element_busy;
    wire inside_store_waits, inside_read_waits;
    wire [1:0] inside_first, inside_second, inside_store_slot, inside_read_slot, inside_form_slot, inside_element_slot;
    wire [1:0] inside_computes, inside_computes_done, inside_in_progress;
    wire [3:0] inside_finished;
    wire [283:0] inside_memory;

    // What the unit may rely on: a push finds a slot, and only what has been started, and is not done, becomes done.
    reg [1:0] computing = 0;
    reg storing = 0, reading = 0, forming = 0, combining = 0;
    always @(posedge clk) begin
        computing <= reset ? 0 : computing + compute_start - compute_done;
        storing <= !reset && (store_start || storing && !store_done);
        reading <= !reset && (read_start || reading && !read_done);
        forming <= !reset && (form_start || forming && !form_done);
        combining <= !reset && (element_start || combining && !element_done);
    end
    always @* begin
        assume (!push || !full);
        assume (!compute_done || computing != 0);
        assume (!store_done || storing);
        assume (!read_done || reading);
        assume (!form_done || forming);
        assume (!element_done || combining);
    end

    reg past = 0;
    always @(posedge clk) past <= 1;
    // The first cycle is a reset; registers start at any value.
    always @* assume (past || reset);

    function [4:0] kind_of(input [7:0] opcode);
        kind_of = opcode >= 8'h10 && opcode <= 8'h14 ? 5'b1 << opcode[2:0] : 0;
    endfunction
    wire [4:0] pushed_kind = kind_of(header[7:0]);
    wire taking = inside_takes != 0;
    wire [2:0] pushed, popped, waiting, followed;
    wire is_waiting;
    wire [70:0] content;
    queue_contract #(.WIDTH(71), .CAPACITY(SLOTS)) queue (
        .clk(clk), .reset(reset), .past(past), .push(push), .item({pushed_kind, segments, header}),
        .pop(taking), .valid(inside_waiting), .head(inside_head),
        .pushed(pushed), .popped(popped), .waiting(waiting),
        .followed(followed), .is_waiting(is_waiting), .content(content)
    );

    // Instructions over are counted by what the unit tells.
    reg [2:0] over = 0;
    always @(posedge clk) over <= reset ? 0 : over + retire;

    // Instructions that are pushed and not over; those that are taken and not over, by their slots; those of them done.
    wire [2:0] held = pushed - over, begun = popped - over;
    wire [3:0] running = busy_slot(inside_one, inside_first) | busy_slot(inside_two, inside_second)
        | busy_slot(inside_store_busy, inside_store_slot) | busy_slot(inside_read_busy, inside_read_slot)
        | busy_slot(inside_form_busy, inside_form_slot) | busy_slot(inside_element_busy, inside_element_slot);
    function [3:0] busy_slot(input busy, input [1:0] slot);
        busy_slot = busy ? 4'b1 << slot : 0;
    endfunction
    integer number;
    reg [3:0] window;
    reg [2:0] count, kinds;
    always @* begin
        window = 0;
        count = 0;
        for (number = 0; number < SLOTS; number = number + 1) begin
            if (number < begun) window[(over + number) % SLOTS] = 1;
            count = count + running[number];
        end
        kinds = inside_one + inside_two + inside_store_busy + inside_read_busy + inside_form_busy + inside_element_busy;
    end

    // The followed instruction is done when those of its kind that came before it are, and then it.
    wire [4:0] done = {element_done, form_done, read_done, store_done, compute_done};
    wire [4:0] kind = kind_of(content[7:0]);
    reg [2:0] pending [0:4];
    reg [2:0] ahead = 0;
    reg is_done = 0;
    wire its_done = (kind & done) != 0;
    integer each;
    initial for (each = 0; each < 5; each = each + 1) pending[each] = 0;
    always @(posedge clk) begin
        for (each = 0; each < 5; each = each + 1)
            pending[each] <= reset ? 0 : pending[each] + (push && pushed_kind[each]) - done[each];
        if (push && pushed == followed) begin
            is_done <= 0;
            ahead <= 0;
            for (each = 0; each < 5; each = each + 1) if (pushed_kind[each]) ahead <= pending[each] - done[each];
        end else if (its_done && ahead == 0) is_done <= 1;
        else if (its_done) ahead <= ahead - 1;
    end
    wire oldest_followed = held != 0 && followed == over;

    always @* if (past) begin
        assert (held <= SLOTS && full == (held == SLOTS) && empty == (held == 0));
        assert (ticket == pushed[1:0] && retired == over[1:0]);
        // Only what is begun retires.
        if (retire) assert (begun != 0);
`ifndef INDUCTION
        // The oldest retires as soon as it is done, and nothing else does: shown from reset on, not by induction.
        if (oldest_followed) assert (retire == is_done);
`endif
        // One instruction is taken at a time.
        assert ((inside_takes & (inside_takes - 5'd1)) == 0 && (!taking || waiting != 0));
`ifdef INDUCTION
        // What makes it inductive: every slot of what is begun is either running, of one kind, or finished.
        assert (inside_over == over[1:0] && inside_held == held);
        assert (inside_written == pushed[1:0] && inside_taken == popped[1:0] && inside_following == popped[1:0] + 2'd1);
        assert (inside_waiting == (waiting != 0) && inside_more == (waiting > 1));
        if (inside_available) assert (inside_waiting && !inside_element_busy);
        if (inside_waiting) assert (inside_head[70:66] == kind_of(inside_head[7:0]));
        for (number = 0; number < SLOTS; number = number + 1)
            assert (inside_memory[71 * number + 66 +: 5] == kind_of(inside_memory[71 * number +: 8]));
        assert (begun <= held && held <= SLOTS);
        assert ((running | inside_finished) == window && (running & inside_finished) == 0);
        assert (count == kinds && (!inside_two || inside_one));
        assert (computing <= 2 && !(computing == 2 && compute_start));
        assert (computing + compute_start == inside_one + inside_two);
        assert (computing + compute_start == inside_computes - inside_computes_done);
        assert (inside_in_progress == inside_computes - inside_computes_done);
        assert (inside_form_busy == (forming || form_start) && !(forming && form_start));
        assert (inside_element_busy == (combining || element_start) && !(combining && element_start));
        assert ((inside_store_busy || !inside_store_waits) && (inside_read_busy || !inside_read_waits));
        if (storing || store_start) assert (inside_store_busy && !inside_store_waits);
        if (reading || read_start) assert (inside_read_busy && !inside_read_waits);
        assert (!(storing && store_start) && !(reading && read_start));
        if (is_waiting) assert (inside_memory[71 * followed[1:0] +: 71] == content);
`endif
    end
endmodule
