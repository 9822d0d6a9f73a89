// A piece of DRAM, which begins at byte `offset` of its `first` word, brought to word boundaries of its own: `moved` holds its
// next BUS bytes where `use_word` is set, when the next word comes, or one cycle behind the `last` one.
module word_boundaries #(
    parameter BUS = 16
) (
    input clock,
    input reset,
    input valid,
    input first,
    input last,
    input [$clog2(BUS)-1:0] offset,
    input [8*BUS-1:0] word,
    output use_word,
    output [8*BUS-1:0] moved
);
  reg [8*BUS-1:0] previous;
  reg [$clog2(BUS)-1:0] shift;
  reg pending, ended;

  // The rest of the word before, and the beginning of this one.
  wire [16*BUS-1:0] pair = {word, previous} >> {shift, 3'b000};
  assign moved = pair[8*BUS-1:0];
  assign use_word = pending & (valid | ended);

  always @(posedge clock) begin
    if (valid) previous <= word;
    if (valid & first) shift <= offset;
    pending <= ~reset & (valid | (pending & ~use_word));
    ended <= ~reset & (valid ? last : ended);
  end
endmodule
