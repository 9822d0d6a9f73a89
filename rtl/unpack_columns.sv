// LOAD's way from DRAM words of BUS bytes to scratchpad entries that are wider than a word: these lie in columns of STEP
// bytes, gcd(RECORD, BUS), which are written each by itself, so that no entry waits to be complete.
//
// A piece has `count` records. It is brought to word boundaries of its own; of the BUS / STEP parts of a word the first goes to
// `column`, the next ones to those behind it; where the entry ends, they go on in column 0 of the next one. `columns` says how
// many of them are there.
module unpack_columns #(
    parameter BUS = 16,
    parameter RECORD = 136,
    parameter STEP = 8,
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
    output reg [8*BUS-1:0] aligned,
    output reg [$clog2(RECORD/STEP)-1:0] column,
    output reg [$clog2(BUS/STEP):0] columns
);
  localparam STEPS = RECORD / STEP;
  localparam GAINED = BUS / STEP;
  localparam BITS = $clog2(STEPS);
  localparam [BITS:0] LENGTH = STEPS[BITS:0];
  localparam [BITS:0] GAIN = GAINED[BITS:0];

  wire use_word;
  wire [8*BUS-1:0] moved;
  word_boundaries #(.BUS(BUS)) boundaries (
      .clock(clock), .reset(reset), .valid(valid), .first(first), .last(last), .offset(offset), .word(word),
      .use_word(use_word), .moved(moved)
  );

  reg [COUNT-1:0] left;
  reg [BITS-1:0] position;

  // Columns until the entry ends; behind it there is nothing more if it was the last one.
  wire [BITS:0] until_end = LENGTH - {1'b0, position};
  wire ends = until_end <= GAIN;
  wire is_last = left == 1;
  wire [BITS:0] beyond = ends ? GAIN - until_end : {1'b0, position} + GAIN;
  wire [BITS:0] here = ends & is_last ? until_end : GAIN;

  always @(posedge clock) begin
    aligned <= moved;
    column <= position;
    columns <= use_word & ~reset & (left != 0) ? here[$clog2(GAINED):0] : 0;
    if (valid & first) begin
      left <= count;
      position <= 0;
    end else if (use_word) begin
      left <= left - {{COUNT - 1{1'b0}}, ends & (left != 0)};
      position <= beyond[BITS-1:0];
    end
  end
endmodule
