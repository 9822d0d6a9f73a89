// Product of an unsigned or signed `a` and a `b` that is signed unless b_unsigned, exact in A + B bits.
//
// Partial products after C. R. Baugh and B. A. Wooley, "A two's complement parallel array multiplication algorithm",
// IEEE Transactions on Computers C-22 (1973): bits of negative weight are inverted, and what that adds is a constant.
// So no operand is extended by its sign, which would cost a row of adders.
module multiplier #(
    parameter A = 4,
    parameter B = 4,
    parameter A_SIGNED = 1
) (
    input [A-1:0] a,
    input [B-1:0] b,
    input b_unsigned,
    output [A+B-1:0] product
);
  localparam WIDTH = A + B;
  localparam [WIDTH-1:0] ONE = 1;

  // A bit of weight -2^k is (1 - itself) * 2^k - 2^k; the constants below are the sums of these -2^k.
  function automatic [WIDTH-1:0] sum_of_rows(input [A-1:0] left, input [B-1:0] right, input is_signed);
    reg [WIDTH-1:0] sum;
    reg [A-1:0] row;
    integer j;
    begin
      if (A_SIGNED != 0) sum = (ONE << (A - 1)) + (ONE << (A + B - 1)) + ({{WIDTH - 1{1'b0}}, is_signed} << (B - 1));
      else sum = ({{WIDTH - 1{1'b0}}, is_signed} << (A + B - 1)) + ({{WIDTH - 1{1'b0}}, is_signed} << (B - 1));
      for (j = 0; j < B; j = j + 1) begin
        row = left & {A{right[j]}};
        if (A_SIGNED != 0) row[A-1] = ~row[A-1];
        if (j == B - 1) row = row ^ {A{is_signed}};
        sum = sum + ({{B{1'b0}}, row} << j);
      end
      sum_of_rows = sum;
    end
  endfunction

  assign product = sum_of_rows(a, b, ~b_unsigned);
endmodule
