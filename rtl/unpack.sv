// LOAD's way from DRAM words of BUS bytes to scratchpad entries of BITS bits, of which each takes RECORD whole bytes in DRAM
// (docs/numerics.md, section 6). Up to ENTRIES are complete in a cycle; `complete` marks them, from the first on.
//
// A piece of `count` records begins at byte `offset` of its `first` word. It is brought to word boundaries of its own, so that
// records begin at multiples of gcd(RECORD, BUS) bytes; a word is used when the next one comes, or one cycle later.
module unpack #(
    parameter BUS = 16,
    parameter RECORD = 9,
    parameter BITS = 68,
    parameter ENTRIES = 2,
    parameter STEP = 1,
    parameter COUNT = 20
) (
    input clock,
    input reset,
    input valid,
    input first,
    input last,
    input [$clog2(BUS)-1:0] offset,
    input [COUNT-1:0] count,
    input [8*BUS-1:0] word,
    output reg [ENTRIES*BITS-1:0] entries,
    output reg [ENTRIES-1:0] complete
);
  localparam STEPS = RECORD / STEP;
  localparam GAINED = BUS / STEP;
  localparam LEVEL = $clog2(STEPS + GAINED);
  localparam HELD = RECORD > STEP ? 8 * (RECORD - STEP) : 1;
  localparam MERGED = 8 * (RECORD - STEP + BUS);
  localparam ROOM = MERGED > 8 * RECORD * ENTRIES ? MERGED : 8 * RECORD * ENTRIES;

  reg [8*BUS-1:0] previous;
  reg [$clog2(BUS)-1:0] shift;
  reg pending, ended;
  reg [COUNT-1:0] left;
  reg [HELD-1:0] held;
  reg [LEVEL-1:0] level;

  // A word of the piece: the rest of the one before, and the beginning of this one.
  wire use_word = pending & (valid | ended);
  wire [16*BUS-1:0] pair = {word, previous};
  wire [16*BUS-1:0] moved = pair >> {shift, 3'b000};
  wire [ROOM-1:0] aligned = {{ROOM - 8 * BUS{1'b0}}, moved[8*BUS-1:0]};

  // Behind what is held; from it entries are cut off below.
  wire [ROOM-1:0] merged = {{ROOM - HELD{1'b0}}, held} | (aligned << (level * (8 * STEP)));
  wire [LEVEL:0] reached = {1'b0, level} + GAINED;
  wire [ENTRIES-1:0] full;
  wire [ROOM-1:0] behind;
  wire [LEVEL:0] rest;
  genvar i;
  generate
    for (i = 0; i < ENTRIES; i = i + 1) begin : entry
      wire [ROOM-1:0] from, beyond;
      wire [LEVEL:0] steps, steps_beyond;
      if (i == 0) begin : first_entry
        assign from = merged;
        assign steps = reached;
      end else begin : next_entry
        assign from = entry[i-1].beyond;
        assign steps = entry[i-1].steps_beyond;
      end
      wire whole = steps >= STEPS;
      assign full[i] = whole & (left > i);
      assign beyond = whole ? from >> (8 * RECORD) : from;
      assign steps_beyond = whole ? steps - STEPS : steps;
      always @(posedge clock) entries[i*BITS+:BITS] <= merged[i*8*RECORD+:BITS];
    end
  endgenerate
  assign behind = entry[ENTRIES-1].beyond;
  assign rest = entry[ENTRIES-1].steps_beyond;

  always @(posedge clock) begin
    complete <= use_word & ~reset ? full : {ENTRIES{1'b0}};
    if (valid) previous <= word;
    if (valid & first) begin
      shift <= offset;
      left <= count;
      level <= 0;
      held <= 0;
    end else if (use_word) begin
      left <= left - taken(full);
      level <= rest[LEVEL-1:0];
      held <= behind[HELD-1:0];
    end
    pending <= ~reset & (valid | (pending & ~use_word));
    ended <= ~reset & (valid ? last : ended);
  end

  function automatic [COUNT-1:0] taken(input [ENTRIES-1:0] marks);
    integer k;
    begin
      taken = 0;
      for (k = 0; k < ENTRIES; k = k + 1) taken = taken + {{COUNT - 1{1'b0}}, marks[k]};
    end
  endfunction
endmodule
