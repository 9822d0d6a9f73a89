// A product after CYCLES registers (at least 1). With two or more, one half of `b` is multiplied beside the other in the first
// cycle, and the halves are added in the second.
module split_multiplier #(
    parameter A = 32,
    parameter B = 16,
    parameter A_SIGNED = 1,
    parameter CYCLES = 2
) (
    input clock,
    input [A-1:0] a,
    input [B-1:0] b,
    input b_unsigned,
    output [A+B-1:0] product
);
  localparam LOW = B / 2;
  localparam HIGH = B - LOW;

  generate
    if (CYCLES == 1 || B == 1) begin : whole
      wire [A+B-1:0] exact;
      multiplier #(.A(A), .B(B), .A_SIGNED(A_SIGNED)) multiply (
          .a(a), .b(b), .b_unsigned(b_unsigned), .product(exact)
      );
      delay #(.WIDTH(A + B), .CYCLES(CYCLES)) register (.clock(clock), .in(exact), .out(product));
    end else begin : halves
      wire [A+LOW-1:0] low, low_held;
      wire [A+HIGH-1:0] high, high_held;
      wire high_signed;
      multiplier #(.A(A), .B(LOW), .A_SIGNED(A_SIGNED)) multiply_low (
          .a(a), .b(b[LOW-1:0]), .b_unsigned(1'b1), .product(low)
      );
      multiplier #(.A(A), .B(HIGH), .A_SIGNED(A_SIGNED)) multiply_high (
          .a(a), .b(b[B-1:LOW]), .b_unsigned(b_unsigned), .product(high)
      );
      delay #(.WIDTH(A + LOW)) low_register (.clock(clock), .in(low), .out(low_held));
      delay #(.WIDTH(A + HIGH)) high_register (.clock(clock), .in(high), .out(high_held));
      wire extension = A_SIGNED != 0 ? low_held[A+LOW-1] : 1'b0;
      wire [A+HIGH-1:0] sum = high_held + {{HIGH{extension}}, low_held[A+LOW-1:LOW]};
      delay #(.WIDTH(A + B), .CYCLES(CYCLES - 1)) register (
          .clock(clock), .in({sum, low_held[LOW-1:0]}), .out(product)
      );
    end
  endgenerate
endmodule
