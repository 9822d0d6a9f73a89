// REDUCE's first part: the largest lane of a row of accumulators, their sum, or that of their squares (docs/isa.md). An entry of
// LANES accumulators enters in each clock; `first` and `last` mark those of a row, of which the last one has `last_lanes` lanes.
//
//   read | round | square | tree, TREE_CYCLES | row
//
// A bar is a register. Sums add up what saturates to 32 bits; squares are of lanes that are shifted, rounded, and saturate to
// SQUARED_BITS bits. One clock behind its last entry's turn, `total` has what there is of a row.
module reduce_tree #(
    parameter LANES = 16,
    parameter ACC = 32,
    parameter TREE_REGISTERS = 15,
    parameter TREE_CYCLES = 4
) (
    input clock,
    input [LANES*ACC-1:0] acc,
    input [vsq_isa::REDUCE_OP_BITS-1:0] op,
    input [vsq_isa::REDUCE_SHIFT_BITS-1:0] shift,
    input first,
    input last,
    input [vsq_isa::REDUCE_LAST_LANES_BITS-1:0] last_lanes,
    output [vsq_isa::ROW_BITS-1:0] total
);
  localparam SQUARED = vsq_isa::SQUARED_BITS;
  localparam TERM = ACC > 2 * SQUARED ? ACC : 2 * SQUARED;
  localparam LEVELS = $clog2(LANES);
  localparam SUM = TERM + LEVELS;
  localparam ROW = vsq_isa::ROW_BITS;
  localparam SHIFT = vsq_isa::REDUCE_SHIFT_BITS;
  localparam COUNT = vsq_isa::REDUCE_LAST_LANES_BITS;

  // read
  wire [LANES*ACC-1:0] acc1;
  wire [COUNT-1:0] count1;
  wire [SHIFT-1:0] shift1;
  wire is_max1, is_squares1, first1, last1;
  delay #(.WIDTH(LANES * ACC)) acc_read (.clock(clock), .in(acc), .out(acc1));
  delay #(.WIDTH(SHIFT + COUNT + 4)) control_read (
      .clock(clock),
      .in({shift, last_lanes, op == vsq_isa::REDUCE_OP_MAX, op == vsq_isa::REDUCE_OP_SQUARES, first, last}),
      .out({shift1, count1, is_max1, is_squares1, first1, last1})
  );

  // round, square: a term of each lane
  wire is_max2, is_squares2, first2, is_max3, first3;
  delay #(.WIDTH(3)) control_round (
      .clock(clock), .in({is_max1, is_squares1, first1}), .out({is_max2, is_squares2, first2})
  );
  delay #(.WIDTH(2)) control_square (.clock(clock), .in({is_max2, first2}), .out({is_max3, first3}));
  wire [LANES*TERM-1:0] terms;
  genvar l, i;
  generate
    for (i = 0; i < LANES; i = i + 1) begin : lane
      wire [ACC-1:0] own = acc1[i*ACC+:ACC];
      wire absent = last1 & count1 <= i;
      wire [SQUARED-1:0] squared;
      wire [ACC-1:0] bounded, number1, number2;
      saturated_shift #(.WIDTH(ACC), .BITS(SQUARED)) round (.n(own), .shift(shift1), .result(squared));
      if (ACC > 32) begin : wide
        wire fits = own[ACC-1:31] == {ACC - 31{own[ACC-1]}};
        assign bounded = is_max1 | fits ? own : {{ACC - 31{own[ACC-1]}}, {31{~own[ACC-1]}}};
      end else begin : narrow
        assign bounded = own;
      end
      // Beside a lane that is not there, any other is the largest.
      assign number1 = absent ? {is_max1, {ACC - 1{1'b0}}} : bounded;
      delay #(.WIDTH(ACC)) number_register (.clock(clock), .in(number1), .out(number2));
      wire [SQUARED-1:0] factor2;
      delay #(.WIDTH(SQUARED)) factor_register (
          .clock(clock), .in(squared & {SQUARED{is_squares1 & ~absent}}), .out(factor2)
      );
      wire [2*SQUARED-1:0] square2;
      multiplier #(.A(SQUARED), .B(SQUARED)) multiply (
          .a(factor2), .b(factor2), .b_unsigned(1'b0), .product(square2)
      );
      wire [TERM:0] long_number2 = {{TERM - ACC + 1{number2[ACC-1]}}, number2};
      wire [TERM:0] long_square2 = {{TERM - 2 * SQUARED + 1{1'b0}}, square2};
      delay #(.WIDTH(TERM)) term_register (
          .clock(clock), .in(is_squares2 ? long_square2[TERM-1:0] : long_number2[TERM-1:0]),
          .out(terms[i*TERM+:TERM])
      );
    end

    // tree: each level is a bit wider than the one before; bit l of TREE_REGISTERS asks for a register behind level l
    for (l = 0; l < LEVELS; l = l + 1) begin : level
      localparam BITS = TERM + l;
      localparam NODES = LANES >> (l + 1);
      wire [2*NODES*BITS-1:0] in;
      wire in_is_max, in_first;
      wire [NODES*(BITS+1)-1:0] found, out;
      wire out_is_max, out_first;
      if (l == 0) begin : leaves
        assign in = terms;
        assign {in_is_max, in_first} = {is_max3, first3};
      end else begin : above
        assign in = level[l-1].out;
        assign {in_is_max, in_first} = {level[l-1].out_is_max, level[l-1].out_first};
      end
      for (i = 0; i < NODES; i = i + 1) begin : pair
        reduce_node #(.WIDTH(BITS), .COMPARED(ACC)) of_two (
            .a(in[2*i*BITS+:BITS]), .b(in[(2*i+1)*BITS+:BITS]), .is_max(in_is_max),
            .result(found[i*(BITS+1)+:BITS+1])
        );
      end
      delay #(.WIDTH(NODES * (BITS + 1) + 2), .CYCLES((TREE_REGISTERS >> l) & 1)) register (
          .clock(clock), .in({found, in_is_max, in_first}), .out({out, out_is_max, out_first})
      );
    end
  endgenerate
  wire is_max = level[LEVELS-1].out_is_max;
  wire is_first = level[LEVELS-1].out_first;

  // row: what the entries so far are, and this one
  wire [ROW-1:0] entry;
  generate
    if (SUM < ROW) assign entry = {{ROW - SUM{level[LEVELS-1].out[SUM-1]}}, level[LEVELS-1].out};
    else assign entry = level[LEVELS-1].out[ROW-1:0];
  endgenerate
  reg [ROW-1:0] so_far;
  wire [ROW:0] both;
  reduce_node #(.WIDTH(ROW), .COMPARED(ACC)) add_up (.a(so_far), .b(entry), .is_max(is_max), .result(both));
  always @(posedge clock) so_far <= is_first ? entry : both[ROW-1:0];
  assign total = so_far;
endmodule

// The larger of two signed numbers, which COMPARED bits hold, or their sum; one adder finds either.
module reduce_node #(
    parameter WIDTH = 36,
    parameter COMPARED = 32
) (
    input [WIDTH-1:0] a,
    input [WIDTH-1:0] b,
    input is_max,
    output [WIDTH:0] result
);
  wire [WIDTH:0] sum = {a[WIDTH-1], a} + ({b[WIDTH-1], b} ^ {WIDTH + 1{is_max}}) + {{WIDTH{1'b0}}, is_max};
  wire [COMPARED-1:0] larger = sum[WIDTH] ? b[COMPARED-1:0] : a[COMPARED-1:0];
  assign result = is_max ? {{WIDTH + 1 - COMPARED{larger[COMPARED-1]}}, larger} : sum;
endmodule

// clip(rhu(n, 2^shift)) to BITS bits.
module saturated_shift #(
    parameter WIDTH = 32,
    parameter BITS = 18
) (
    input [WIDTH-1:0] n,
    input [5:0] shift,
    output [BITS-1:0] result
);
  localparam LONG = WIDTH > BITS ? WIDTH : BITS + 1;
  wire [LONG-1:0] floor;
  wire half;
  wire [LONG:0] long_n = {{LONG - WIDTH + 1{n[WIDTH-1]}}, n};
  round_shift #(.WIDTH(LONG)) shift_down (.n(long_n[LONG-1:0]), .shift(shift), .floor(floor), .half(half));
  wire negative = floor[LONG-1];
  wire fits = floor[LONG-1:BITS-1] == {LONG - BITS + 1{negative}};
  wire largest = floor[BITS-1:0] == {1'b0, {BITS - 1{1'b1}}};
  assign result = fits ? floor[BITS-1:0] + {{BITS - 1{1'b0}}, half & ~largest} : {negative, {BITS - 1{~negative}}};
endmodule
