// Elements of N bits to those of the records of their digits, the lowest first, as they wait for STORE in DIGIT bits: digits of
// an activation, or of a second operand, of N2 bits. Of these the highest is extended by its sign, the others by zeros; where
// they are narrower, `split` says which of both it is, and how many digits there are, else only whether elements are unsigned.
module digit_records #(
    parameter LANES = 16,
    parameter N = 8,
    parameter DIGIT = 4,
    parameter N2 = 4,
    parameter DIGITS = 2,
    parameter SPLIT = 1
) (
    input [LANES*N-1:0] elements,
    input [SPLIT-1:0] split,
    output [DIGITS*LANES*DIGIT-1:0] parts
);
  genvar i, k;
  generate
    if (DIGITS == 1) begin : whole
      assign parts = elements;
    end else begin : several
      for (i = 0; i < LANES; i = i + 1) begin : lane
        wire sign = ~split[0] & elements[i*N+N-1];
        wire [N+DIGITS*DIGIT-1:0] extended = {{DIGITS * DIGIT{sign}}, elements[i*N+:N]};
        for (k = 0; k < DIGITS; k = k + 1) begin : digit
          wire [DIGIT-1:0] own = extended[k*DIGIT+:DIGIT];
          if (SPLIT == 1) begin : alike
            assign parts[(k*LANES+i)*DIGIT+:DIGIT] = own;
          end else begin : narrower
            wire [DIGIT-1:0] other = extended[k*N2+:DIGIT];
            wire is_highest = split[SPLIT-1:2] == k;
            wire [DIGIT-N2-1:0] above = other[DIGIT-1:N2] & {DIGIT - N2{is_highest}};
            assign parts[(k*LANES+i)*DIGIT+:DIGIT] = split[1] ? {above, other[N2-1:0]} : own;
          end
        end
      end
    end
  endgenerate
endmodule
