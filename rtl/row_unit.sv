// REDUCE's second part: what becomes of a row's largest lane or sum (docs/isa.md): it plus the immediate, it times a multiplier,
// or a factor by which VEC scales, which a table of 1 / n or 1 / sqrt(n) gives.
//
//   immediate | count | normalize | table | slope | segment | (the scratchpad is written)
//   multiply  | multiply | shift   |      |       |
//
// `entry` is the table's parameter entry, counted from its first one, and `par` what it holds, a clock later: a segment in each of
// its lanes. A sum of at most 2^34 a lane, of the longest rows, has ROW_BITS bits with its sign.
module row_unit #(
    parameter LANES = 16
) (
    input clock,
    input [vsq_isa::ROW_BITS-1:0] total,
    input [vsq_isa::REDUCE_TO_BITS-1:0] to,
    input [vsq_isa::REDUCE_EXPONENT_BITS-1:0] exponent,
    input [vsq_isa::REDUCE_MULT_BITS-1:0] mult,
    input [vsq_isa::REDUCE_IMM_BITS-1:0] imm,
    input [LANES*vsq_isa::PAR_BITS-1:0] par,
    output [vsq_isa::TABLE_ADDRESS_BITS-$clog2(LANES)-1:0] entry,
    output [31:0] result
);
  localparam ROW = vsq_isa::ROW_BITS;
  localparam TO = vsq_isa::REDUCE_TO_BITS;
  localparam EXPONENT = vsq_isa::REDUCE_EXPONENT_BITS;
  localparam MULT = vsq_isa::REDUCE_MULT_BITS;
  localparam PRODUCT = ROW + MULT;
  localparam MANTISSA = vsq_isa::MANTISSA_BITS;
  localparam TV = vsq_isa::TABLE_VALUE_BITS;
  localparam ADDRESS = vsq_isa::TABLE_ADDRESS_BITS;
  localparam INSIDE = vsq_isa::TABLE_INPUT_BITS - ADDRESS;
  localparam LANE = $clog2(LANES);
  localparam POWER = 7;  // of two, signed, and a shift that is still to be bounded: more than EXPONENT

  // immediate: what a factor is of is at least 1
  wire [ROW:0] sum0 = {total[ROW-1], total} + {{ROW - 31{imm[31]}}, imm};
  wire takes_table0 = to == vsq_isa::REDUCE_TO_RECIPROCAL || to == vsq_isa::REDUCE_TO_RSQRT;
  wire [ROW:0] sum1;
  wire scales1, is_root1;
  wire [EXPONENT-1:0] exponent1, exponent2;
  wire takes_table1, takes_table2, scales2, is_root2;
  delay #(.WIDTH(ROW + 1)) sum_register (.clock(clock), .in(sum0), .out(sum1));
  delay #(.WIDTH(EXPONENT + 3)) control_immediate (
      .clock(clock),
      .in({exponent, takes_table0, to == vsq_isa::REDUCE_TO_SCALED, to == vsq_isa::REDUCE_TO_RSQRT}),
      .out({exponent1, takes_table1, scales1, is_root1})
  );

  // count: zeros above the first one
  wire small1 = sum1[ROW] | ~|sum1[ROW-1:0];
  wire [ROW-1:0] least1 = small1 ? {{ROW - 1{1'b0}}, 1'b1} : sum1[ROW-1:0];
  wire [5:0] zeros2;
  wire [ROW-1:0] least2;
  wire fits1 = sum1[ROW:31] == {ROW - 30{sum1[ROW]}};
  wire [31:0] value1 = fits1 ? sum1[31:0] : {sum1[ROW], {31{~sum1[ROW]}}};
  wire [31:0] value2;
  delay #(.WIDTH(ROW + 6)) count_register (
      .clock(clock), .in({least1, leading_zeros(least1)}), .out({least2, zeros2})
  );
  delay #(.WIDTH(32)) value_register (.clock(clock), .in(value1), .out(value2));
  delay #(.WIDTH(EXPONENT + 3)) control_count (
      .clock(clock), .in({exponent1, takes_table1, scales1, is_root1}),
      .out({exponent2, takes_table2, scales2, is_root2})
  );

  // normalize: n and e of n * 2^e, n with its first one above MANTISSA bits; the place in the table; the shift
  wire [ROW-1:0] normal2 = least2 << zeros2;
  wire [MANTISSA-1:0] mantissa2 = normal2[ROW-2-:MANTISSA];
  wire [POWER-1:0] power2 = ROW - 1 - MANTISSA - {1'b0, zeros2};
  wire [MANTISSA-1:0] place2 = is_root2 ? {power2[0], mantissa2[MANTISSA-1:1]} : mantissa2;
  wire [POWER-1:0] doublings2 = is_root2 ? {power2[POWER-1], power2[POWER-1:1]} : power2;
  wire [POWER:0] shift2 = {2'b00, exponent2} + {doublings2[POWER-1], doublings2};
  wire [MANTISSA-1:0] place3;
  wire [POWER:0] shift3;
  wire takes_table3;
  delay #(.WIDTH(MANTISSA + POWER + 2)) place_register (
      .clock(clock), .in({place2, shift2, takes_table2}), .out({place3, shift3, takes_table3})
  );

  // multiply, multiply, shift: beside these
  wire [PRODUCT-1:0] product2;
  wire [31:0] scaled2, other3, other6;
  split_multiplier #(.A(ROW), .B(MULT), .CYCLES(2)) multiply (
      .clock(clock), .a(total), .b(mult), .b_unsigned(1'b1), .product(product2)
  );
  saturated_shift #(.WIDTH(PRODUCT), .BITS(32)) scale_down (.n(product2), .shift(exponent2), .result(scaled2));
  delay #(.WIDTH(32)) other_register (.clock(clock), .in(scales2 ? scaled2 : value2), .out(other3));

  // table: the entry is read
  wire [ADDRESS-1:0] segment3 = place3[MANTISSA-1-:ADDRESS];
  wire [INSIDE-1:0] inside4;
  wire [LANE-1:0] lane4;
  assign entry = segment3[ADDRESS-1:LANE];
  delay #(.WIDTH(LANE + INSIDE)) inside_register (
      .clock(clock), .in({segment3[LANE-1:0], place3[INSIDE-1:0]}), .out({lane4, inside4})
  );

  // slope: of the segment in one of its lanes
  wire [TV-1:0] value4, slope4, value5;
  wire [TV+INSIDE-1:0] rise4, rise5;
  wire [LANES*2*TV-1:0] segments4;
  genvar i;
  generate
    for (i = 0; i < LANES; i = i + 1) begin : lane
      assign segments4[2*TV*i+:2*TV] =
          {par[i*vsq_isa::PAR_BITS+vsq_isa::PAR_BIAS_LSB+:TV], par[i*vsq_isa::PAR_BITS+vsq_isa::PAR_CLIP_LSB+:TV]};
    end
  endgenerate
  assign {value4, slope4} = segments4[lane4*2*TV+:2*TV];
  multiplier #(.A(TV), .B(INSIDE)) multiply_slope (
      .a(slope4), .b(inside4), .b_unsigned(1'b1), .product(rise4)
  );
  delay #(.WIDTH(2 * TV + INSIDE)) rise_register (.clock(clock), .in({rise4, value4}), .out({rise5, value5}));

  // segment: a mantissa and its shift, as far as they fit their fields
  wire [POWER:0] shift5;
  wire takes_table5;
  delay #(.WIDTH(POWER + 2), .CYCLES(2)) shift_register (
      .clock(clock), .in({shift3, takes_table3}), .out({shift5, takes_table5})
  );
  wire [31:0] other5;
  delay #(.WIDTH(32), .CYCLES(2)) other_delay (.clock(clock), .in(other3), .out(other5));
  wire [TV:0] found5 = {value5[TV-1], value5} + {rise5[TV+INSIDE-1], rise5[TV+INSIDE-1:INSIDE]}
      + {{TV{1'b0}}, rise5[INSIDE-1]};
  localparam FACTOR = vsq_isa::FACTOR_BITS;
  wire [FACTOR-1:0] m5 = found5[TV] ? {FACTOR{1'b0}} : found5[FACTOR-1:0] | {FACTOR{|found5[TV-1:FACTOR]}};
  localparam [POWER:0] MOST = (1 << EXPONENT) - 2;
  wire [EXPONENT-1:0] k5 = shift5[POWER] ? {EXPONENT{1'b0}} : shift5 > MOST ? MOST[EXPONENT-1:0] : shift5[EXPONENT-1:0];
  delay #(.WIDTH(32)) result_register (
      .clock(clock), .in(takes_table5 ? {{32 - FACTOR - EXPONENT{1'b0}}, k5, m5} : other5), .out(result)
  );

  // Of a number that is not 0: halves that are all zero, from the widest on.
  function automatic [5:0] leading_zeros(input [ROW-1:0] number);
    reg [63:0] rest;
    integer step;
    begin
      rest = {number, {64 - ROW{1'b0}}};
      leading_zeros = 0;
      for (step = 5; step >= 0; step = step - 1)
        if (rest >> (64 - (1 << step)) == 0) begin
          leading_zeros[step] = 1'b1;
          rest = rest << (1 << step);
        end
    end
  endfunction
endmodule
