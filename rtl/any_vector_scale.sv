// The scale that vector_scale finds, for elements of any number of bits: the largest of them is 2^ones - 1. A quotient by each
// of these constants is there, and one of them is taken.
module any_vector_scale #(
    parameter N = 8,
    parameter M = 4,
    parameter G = 4
) (
    input [N+M+G-1:0] peak,
    input [3:0] ones,
    output [M-1:0] scale
);
  wire [N+M:0] steps;  // in units of 2^G
  wire [16*M-1:0] quotients;
  genvar n;
  generate
    if (G == 0) assign steps = {1'b0, peak};
    else assign steps = {1'b0, peak[N+M+G-1:G]} + {{N + M{1'b0}}, |peak[G-1:0]};
    for (n = 0; n < 16; n = n + 1) begin : width
      if (n == 0 || n > N) assign quotients[n*M+:M] = 0;
      else by_ones #(.ONES(n), .M(M)) divide (.dividend(steps[n+M-1:0]), .quotient(quotients[n*M+:M]));
    end
  endgenerate
  assign scale = quotients[ones*M+:M] | {{M - 1{1'b0}}, peak == 0};
endmodule

// ceil(dividend / (2^ONES - 1)), which M bits hold: h * 2^ONES + l is h times that and h + l, a much smaller number.
module by_ones #(
    parameter ONES = 4,
    parameter M = 4
) (
    input [ONES+M-1:0] dividend,
    output [M-1:0] quotient
);
  // Foldings after which what is left is at most 2 * (2^ONES - 1).
  function integer foldings(input integer n, input integer m);
    integer rest, mask;
    begin
      mask = (1 << n) - 1;
      rest = mask * ((1 << m) - 1);
      foldings = 0;
      while (rest > 2 * mask) begin
        rest = (rest >> n) + mask;
        foldings = foldings + 1;
      end
    end
  endfunction

  function automatic [M-1:0] divided(input [ONES+M-1:0] number);
    reg [ONES+M-1:0] rest, high;
    reg [ONES-1:0] low;
    reg [M-1:0] sum;
    integer i;
    begin
      rest = number;
      sum = 0;
      for (i = 0; i < foldings(ONES, M); i = i + 1) begin
        high = rest >> ONES;
        low = rest[ONES-1:0];
        sum = sum + high[M-1:0];
        rest = high + {{M{1'b0}}, low};
      end
      divided = sum + {{M - 1{1'b0}}, rest != 0} + {{M - 1{1'b0}}, rest > {{M{1'b0}}, {ONES{1'b1}}}};
    end
  endfunction

  generate
    if (ONES == 1) assign quotient = dividend[M-1:0];
    else assign quotient = divided(dividend);
  endgenerate
endmodule
