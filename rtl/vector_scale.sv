// The smallest scale under which the largest magnitude of a vector is not clipped: ceil(peak / (qmax * 2^G)), at least 1
// (docs/numerics.md, section 3.2). peak is at most qmax * (2^M - 1) * 2^G.
//
// qmax is 2^n - 1, with n = N or, signed, N - 1; of a second operand, whose scale has M2 bits, or is 1, N2 - 1. As h * 2^n + l = h * qmax + (h + l), the quotient is h plus that of h + l,
// a much smaller number: additions of shrinking width in place of a divider.
module vector_scale #(
    parameter N = 4,
    parameter M = 4,
    parameter G = 4,
    parameter N2 = 4,
    parameter M2 = 4
) (
    input [N+M+G-1:0] peak,
    input is_unsigned,
    input second,
    output [M-1:0] scale
);
  localparam WIDTH = N + M;
  localparam OTHER = N2 < N;  // a second operand's elements are narrower than signed ones

  // Foldings after which what is left is at most 2 * (2^n - 1).
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
  localparam OF_ELEMENTS = N < 3 || foldings(N, M) > foldings(N - 1, M) ? foldings(N, M) : foldings(N - 1, M);
  localparam OF_SECOND = OTHER && N2 > 2 && M2 > 0 ? foldings(N2 - 1, M2) : 0;
  localparam FOLDINGS = OF_ELEMENTS > OF_SECOND ? OF_ELEMENTS : OF_SECOND;

  function automatic [M-1:0] quotient(input [WIDTH-1:0] dividend, input n_is_N, input n_is_N2);
    reg [WIDTH-1:0] rest, high;
    reg [N-1:0] mask, low;
    reg [M-1:0] sum;
    integer i;
    begin
      mask = n_is_N2 ? (1 << (N2 - 1)) - 1 : {n_is_N, {N - 1{1'b1}}};
      rest = dividend;
      sum = 0;
      for (i = 0; i < FOLDINGS; i = i + 1) begin
        high = n_is_N2 ? rest >> (N2 - 1) : n_is_N ? rest >> N : rest >> (N - 1);
        low = rest[N-1:0] & mask;
        sum = sum + high[M-1:0];
        rest = high + {{M{1'b0}}, low};
      end
      quotient = sum + {{M - 1{1'b0}}, rest != 0} + {{M - 1{1'b0}}, rest > {{M{1'b0}}, mask}};
    end
  endfunction

  wire [WIDTH:0] steps;  // in units of 2^G
  generate
    if (G == 0) assign steps = peak;
    else assign steps = peak[WIDTH+G-1:G] + {{WIDTH{1'b0}}, |peak[G-1:0]};
  endgenerate
  wire is_other = OTHER && second;
  wire of_ones = is_other ? N2 == 2 : N == 2 && !is_unsigned;  // a largest element of 1
  wire [M-1:0] exact = of_ones ? steps[M-1:0] : quotient(steps[WIDTH-1:0], is_unsigned, is_other);
  assign scale = exact | {{M - 1{1'b0}}, peak == 0};
endmodule
