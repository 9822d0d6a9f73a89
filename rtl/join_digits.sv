// An element of N bits from its digits of DIGIT bits, the lowest first, of which it has `digits` more than one, at most DIGITS.
// The highest of them is signed unless is_unsigned; what lies above it may be anything.
module join_digits #(
    parameter N = 8,
    parameter DIGIT = 4,
    parameter DIGITS = 2
) (
    input [DIGITS*DIGIT-1:0] parts,
    input [1:0] digits,
    input is_unsigned,
    output [N-1:0] element
);
  genvar i;
  generate
    if (DIGITS == 1) begin : one
      assign element = parts[N-1:0];
    end else begin : several
      // From the lowest on: a digit that there is, or the sign of the one below it.
      wire [DIGITS*DIGIT-1:0] joined;
      for (i = 0; i < DIGITS; i = i + 1) begin : digit
        wire [DIGIT-1:0] bits;
        if (i == 0) assign bits = parts[DIGIT-1:0];
        else begin : above
          wire sign = ~is_unsigned & digit[i-1].bits[DIGIT-1];
          assign bits = digits < i ? {DIGIT{sign}} : parts[i*DIGIT+:DIGIT];
        end
        assign joined[i*DIGIT+:DIGIT] = bits;
      end
      assign element = joined[N-1:0];
    end
  endgenerate
endmodule
