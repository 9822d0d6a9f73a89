// LOAD's gathering of weight entries: DRAM words to records of the second-operand form, of which each becomes one output lane of
// an entry. Its V elements of N2 bits are extended by their sign to N, its scale of M2 bits by zeros to M; where the form has no
// scale, that of the lane is 1. Words, records and `complete` are those of unpack.
//
// LOW_DIGITS: elements of a piece may be low digits, which are extended by zeros. Its first word says so, is_unsigned.
module unpack_second #(
    parameter BUS = 16,
    parameter RECORD = 9,
    parameter V = 16,
    parameter N = 4,
    parameter M = 4,
    parameter N2 = 4,
    parameter M2 = 4,
    parameter ENTRIES = 2,
    parameter STEP = 1,
    parameter COUNT = 20,
    parameter LOW_DIGITS = 0
) (
    input clock,
    input reset,
    input valid,
    input first,
    input last,
    input [$clog2(BUS)-1:0] offset,
    input [COUNT-1:0] count,
    input is_unsigned,
    input [8*BUS-1:0] word,
    output [ENTRIES*(V*N+M)-1:0] lanes,
    output [ENTRIES-1:0] complete
);
  localparam BITS = V * N2 + M2;
  localparam LANE = V * N + M;
  wire [ENTRIES*BITS-1:0] entries;
  unpack #(
      .BUS(BUS), .RECORD(RECORD), .BITS(BITS), .ENTRIES(ENTRIES), .STEP(STEP), .COUNT(COUNT)
  ) records (
      .clock(clock), .reset(reset), .valid(valid), .first(first), .last(last), .offset(offset), .count(count),
      .word(word), .entries(entries), .complete(complete)
  );

  genvar i, k;
  generate
    if (LOW_DIGITS != 0) begin : digits
      // A record comes out behind the word that completes it, by when the next piece may have begun.
      reg of_piece, of_entries;
      always @(posedge clock) begin
        if (valid & first) of_piece <= is_unsigned;
        of_entries <= of_piece;
      end
    end
    for (i = 0; i < ENTRIES; i = i + 1) begin : record
      for (k = 0; k < V; k = k + 1) begin : element
        wire [N2-1:0] narrow = entries[i*BITS+k*N2+:N2];
        wire sign;
        if (LOW_DIGITS != 0) assign sign = narrow[N2-1] & ~digits.of_entries;
        else assign sign = narrow[N2-1];
        wire [N:0] wide = {{N - N2 + 1{sign}}, narrow};
        assign lanes[i*LANE+k*N+:N] = wide[N-1:0];
      end
      if (M > 0 && M2 > 0) begin : scaled
        wire [M:0] scale = {{M - M2 + 1{1'b0}}, entries[i*BITS+V*N2+:M2]};
        assign lanes[i*LANE+V*N+:M] = scale[M-1:0];
      end else if (M > 0) begin : unscaled
        assign lanes[i*LANE+V*N+:M] = 1;
      end
    end
  endgenerate
endmodule
