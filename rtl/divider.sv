// BITS bits of a quotient, from the highest on, by restoring division; CYCLES registers (1 to BITS), spread evenly over them.
// `dividend` is below divisor * 2^BITS.
module divider #(
    parameter BITS = 4,
    parameter DIVISOR = 4,
    parameter CYCLES = 2
) (
    input clock,
    input [BITS+DIVISOR-1:0] dividend,
    input [DIVISOR-1:0] divisor,
    output [BITS-1:0] quotient
);
  genvar i;
  generate
    for (i = 0; i < BITS; i = i + 1) begin : step
      // What remains, above the bits that are still to come down; and the quotient so far.
      wire [DIVISOR-1:0] rest, by;
      wire [BITS-1:0] coming, done;
      if (i == 0) begin : first
        assign {rest, coming} = dividend;
        assign by = divisor;
        assign done = 0;
      end else begin : next
        assign {rest, coming, by, done} = step[i-1].out;
      end
      wire [DIVISOR:0] wide = {rest, coming[BITS-1-i]};
      wire [DIVISOR:0] difference = wide - {1'b0, by};
      wire fits = ~difference[DIVISOR];  // what remains is below the divisor
      wire [DIVISOR-1:0] left = fits ? difference[DIVISOR-1:0] : wide[DIVISOR-1:0];
      wire [2*DIVISOR+2*BITS-1:0] out;
      delay #(.WIDTH(2 * DIVISOR + 2 * BITS), .CYCLES((i + 1) * CYCLES / BITS - i * CYCLES / BITS)) register (
          .clock(clock), .in({left, coming, by, done[BITS-2:0], fits}), .out(out)
      );
    end
  endgenerate
  assign quotient = step[BITS-1].out[BITS-1:0];
endmodule
