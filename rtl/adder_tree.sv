// Sum of INPUTS (a power of two) signed numbers of WIDTH bits, exact: each level is a bit wider than the one before.
// Bit l of REGISTERS asks for a register behind level l.
module adder_tree #(
    parameter INPUTS = 16,
    parameter WIDTH = 8,
    parameter REGISTERS = 0
) (
    input clock,
    input [INPUTS*WIDTH-1:0] terms,
    output [WIDTH+$clog2(INPUTS)-1:0] sum
);
  localparam LEVELS = $clog2(INPUTS);

  genvar l, i;
  generate
    for (l = 0; l < LEVELS; l = l + 1) begin : level
      localparam BITS = WIDTH + l;
      localparam SUMS = INPUTS >> (l + 1);
      wire [2*SUMS*BITS-1:0] in;
      wire [SUMS*(BITS+1)-1:0] sums, out;
      if (l == 0) assign in = terms;
      else assign in = level[l-1].out;
      for (i = 0; i < SUMS; i = i + 1) begin : pair
        adder #(.WIDTH(BITS)) add (
            .a(in[2*i*BITS+:BITS]),
            .b(in[(2*i+1)*BITS+:BITS]),
            .sum(sums[i*(BITS+1)+:BITS+1])
        );
      end
      delay #(.WIDTH(SUMS * (BITS + 1)), .CYCLES((REGISTERS >> l) & 1)) register (
          .clock(clock),
          .in(sums),
          .out(out)
      );
    end
  endgenerate
  assign sum = level[LEVELS-1].out;
endmodule

// Signed sum, a bit wider than its operands.
module adder #(
    parameter WIDTH = 8
) (
    input [WIDTH-1:0] a,
    input [WIDTH-1:0] b,
    output [WIDTH:0] sum
);
  assign sum = {a[WIDTH-1], a} + {b[WIDTH-1], b};
endmodule
