// LOAD's way from DRAM words of BUS bytes to scratchpad entries of BITS bits, of which each takes RECORD whole bytes in DRAM
// (docs/numerics.md, section 6). Up to ENTRIES are complete in a cycle; `complete` marks them, from the first on.
//
// A piece has `count` records. As it is brought to word boundaries of its own, these begin at multiples of STEP bytes,
// gcd(RECORD, BUS).
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

  localparam [LEVEL:0] LENGTH = STEPS[LEVEL:0];
  localparam [LEVEL:0] GAIN = GAINED[LEVEL:0];

  wire use_word;
  wire [8*BUS-1:0] moved;
  word_boundaries #(.BUS(BUS)) boundaries (
      .clock(clock), .reset(reset), .valid(valid), .first(first), .last(last), .offset(offset), .word(word),
      .use_word(use_word), .moved(moved)
  );

  reg [COUNT-1:0] left;
  reg [HELD-1:0] held;
  reg [LEVEL-1:0] level;

  wire [ROOM-1:0] aligned = {{ROOM - 8 * BUS{1'b0}}, moved};

  // Behind what is held; from it entries are cut off below.
  wire [ROOM-1:0] merged = {{ROOM - HELD{1'b0}}, held} | (aligned << (level * (8 * STEP)));
  wire [LEVEL:0] reached = {1'b0, level} + GAIN;
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
      wire whole = steps >= LENGTH;
      assign full[i] = whole & (left > i);
      assign beyond = whole ? from >> (8 * RECORD) : from;
      assign steps_beyond = whole ? steps - LENGTH : steps;
      always @(posedge clock) entries[i*BITS+:BITS] <= merged[i*8*RECORD+:BITS];
    end
  endgenerate
  assign behind = entry[ENTRIES-1].beyond;
  assign rest = entry[ENTRIES-1].steps_beyond;

  always @(posedge clock) begin
    complete <= use_word & ~reset ? full : {ENTRIES{1'b0}};
    if (valid & first) begin
      left <= count;
      level <= 0;
      held <= 0;
    end else if (use_word) begin
      left <= left - taken(full);
      level <= rest[LEVEL-1:0];
      held <= behind[HELD-1:0];
    end
  end

  function automatic [COUNT-1:0] taken(input [ENTRIES-1:0] marks);
    integer k;
    begin
      taken = 0;
      for (k = 0; k < ENTRIES; k = k + 1) taken = taken + {{COUNT - 1{1'b0}}, marks[k]};
    end
  endfunction
endmodule
