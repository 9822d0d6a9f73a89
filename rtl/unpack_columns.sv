// LOAD's way from DRAM words of BUS bytes to scratchpad entries that are wider than a word: these lie in columns of STEP
// bytes, gcd(RECORD, BUS), which are written each by itself, so that no entry waits to be complete.
//
// A piece of `count` records begins at byte `offset` of its `first` word. It is brought to word boundaries of its own; a word
// is used when the next one comes, or one cycle later. Of its BUS / STEP pieces the first goes to `column`, the next ones to
// those behind it; where the entry ends, they go on in column 0 of the next one. `columns` says how many of them are there.
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
  localparam [BITS:0] LENGTH = STEPS;
  localparam [BITS:0] GAIN = GAINED;

  reg [8*BUS-1:0] previous;
  reg [$clog2(BUS)-1:0] shift;
  reg pending, ended;
  reg [COUNT-1:0] left;
  reg [BITS-1:0] position;

  wire use_word = pending & (valid | ended);
  wire [16*BUS-1:0] pair = {word, previous};
  wire [16*BUS-1:0] moved = pair >> {shift, 3'b000};

  // Columns until the entry ends; behind it there is nothing more if it was the last one.
  wire [BITS:0] until_end = LENGTH - {1'b0, position};
  wire ends = until_end <= GAIN;
  wire is_last = left == 1;
  wire [BITS:0] here = ends & is_last ? until_end : GAIN;

  always @(posedge clock) begin
    aligned <= moved[8*BUS-1:0];
    column <= position;
    columns <= use_word & ~reset & (left != 0) ? here[$clog2(GAINED):0] : 0;
    if (valid) previous <= word;
    if (valid & first) begin
      shift <= offset;
      left <= count;
      position <= 0;
    end else if (use_word) begin
      left <= left - {{COUNT - 1{1'b0}}, ends & (left != 0)};
      position <= ends ? GAINED - until_end : position + GAINED;
    end
    pending <= ~reset & (valid | (pending & ~use_word));
    ended <= ~reset & (valid ? last : ended);
  end
endmodule
