// One lane of the vector unit: what VEC does to an accumulator (docs/isa.md).
//
//   read | unpack | table | multiply | round, add, compare | (the scratchpad is written)
//
// mul, scale and table take an accumulator as it is read, acc_in. The others need it in the last stage only: acc_late comes four
// clocks behind the rest of its micro-op, or is what the lane left in the clock before (`forward`, where the same entry comes
// twice running). So they may come back to an entry at any time, as pools and sums do; the first three, and a `second`
// accumulator, after the pipeline's length.
//
// s is an element, which is joined of up to DIGITS digits as it is read, times its scale, the immediate (src_imm), or another accumulator (src_acc), `second`. The lane has its own copy
// of a function's table, which `fill` writes, a segment a cycle.
module vector_lane #(
    parameter ACC = 32,
    parameter N = 4,
    parameter M = 4,
    parameter DIGIT = 4,
    parameter DIGITS = 1
) (
    input clock,
    input [vsq_isa::VEC_OP_BITS-1:0] op,
    input src_imm,
    input src_acc,
    input src_unsigned,
    input [ACC-1:0] acc_in,
    input [ACC-1:0] acc_late,
    input forward,
    input [ACC-1:0] second,
    input [DIGITS*DIGIT-1:0] element,
    input [vsq_isa::VEC_DIGITS_BITS-1:0] digits,
    input [(M>0?M:1)-1:0] scale,
    input [vsq_isa::VEC_IMM_BITS-1:0] imm,
    input [vsq_isa::VEC_SHIFT_BITS-1:0] shift,
    input fill,
    input [vsq_isa::TABLE_ADDRESS_BITS-1:0] fill_address,
    input [2*vsq_isa::TABLE_VALUE_BITS-1:0] fill_segment,
    output [ACC-1:0] acc
);
  localparam VALUE = N + M;
  localparam INSIDE = vsq_isa::TABLE_INPUT_BITS - vsq_isa::TABLE_ADDRESS_BITS;
  localparam MANTISSA = vsq_isa::FACTOR_BITS;
  localparam WIDER = VALUE > INSIDE ? VALUE : INSIDE;
  localparam FACTOR = WIDER > MANTISSA ? WIDER : MANTISSA;
  localparam TV = vsq_isa::TABLE_VALUE_BITS;
  localparam LEFT = ACC > TV ? ACC : TV;
  localparam PRODUCT = LEFT + FACTOR;
  localparam CONTROL = vsq_isa::VEC_OP_BITS + vsq_isa::VEC_SHIFT_BITS + 3;
  localparam IMM = vsq_isa::VEC_IMM_BITS;
  localparam LONG = ACC > IMM ? ACC : IMM;

  // read: of the immediate and another accumulator, the one that is wanted
  wire [CONTROL-1:0] control1, control2, control4;
  wire [ACC-1:0] acc1, acc2, acc3;
  wire [LONG-1:0] given1, given3, given4;
  wire [N-1:0] element1;
  wire [LONG-1:0] long_imm = {{LONG - IMM + 1{imm[IMM-1]}}, imm[IMM-2:0]};
  wire [LONG-1:0] long_second = {{LONG - ACC + 1{second[ACC-1]}}, second[ACC-2:0]};
  delay #(.WIDTH(CONTROL)) control_read (
      .clock(clock), .in({op, shift, src_acc, src_imm | src_acc, src_unsigned}), .out(control1)
  );
  delay #(.WIDTH(ACC)) acc_read (.clock(clock), .in(acc_in), .out(acc1));
  delay #(.WIDTH(LONG)) given_read (.clock(clock), .in(src_acc ? long_second : long_imm), .out(given1));
  wire [N-1:0] whole;
  join_digits #(.N(N), .DIGIT(DIGIT), .DIGITS(DIGITS)) join_element (
      .parts(element), .digits(digits), .is_unsigned(src_unsigned), .element(whole)
  );
  delay #(.WIDTH(N)) element_read (.clock(clock), .in(whole), .out(element1));

  // unpack: element times scale; the segment of a table, and the place in it
  wire [VALUE-1:0] value1, value3;
  generate
    if (M == 0) begin : elements_alone
      assign value1 = element1;
    end else begin : scaled
      wire [M-1:0] scale1;
      delay #(.WIDTH(M)) scale_read (.clock(clock), .in(scale), .out(scale1));
      multiplier #(.A(M), .B(N), .A_SIGNED(0)) unpack (
          .a(scale1), .b(element1), .b_unsigned(control1[0]), .product(value1)
      );
    end
  endgenerate
  wire [vsq_isa::TABLE_INPUT_BITS-1:0] place1, place2;
  table_place #(.ACC(ACC), .LONG(LONG)) locate (
      .acc(acc1), .from(given1), .shift(control1[3+:vsq_isa::VEC_SHIFT_BITS]), .place(place1)
  );
  delay #(.WIDTH(vsq_isa::TABLE_INPUT_BITS)) place_register (.clock(clock), .in(place1), .out(place2));
  delay #(.WIDTH(CONTROL)) control_unpack (.clock(clock), .in(control1), .out(control2));
  delay #(.WIDTH(ACC)) acc_unpack (.clock(clock), .in(acc1), .out(acc2));

  // table
  wire [2*TV-1:0] segment3;
  wire [INSIDE-1:0] inside3;
  wire [CONTROL-1:0] control3;
  table_memory tables (
      .clock(clock), .write(fill), .write_address(fill_address), .write_data(fill_segment),
      .read_address(place2[vsq_isa::TABLE_INPUT_BITS-1:INSIDE]), .read_data(segment3)
  );
  delay #(.WIDTH(INSIDE)) inside_register (.clock(clock), .in(place2[INSIDE-1:0]), .out(inside3));
  delay #(.WIDTH(CONTROL)) control_table (.clock(clock), .in(control2), .out(control3));
  delay #(.WIDTH(ACC)) acc_table (.clock(clock), .in(acc2), .out(acc3));
  delay #(.WIDTH(VALUE), .CYCLES(2)) value_table (.clock(clock), .in(value1), .out(value3));
  delay #(.WIDTH(LONG), .CYCLES(2)) given_table (.clock(clock), .in(given1), .out(given3));

  // multiply: a product, a coefficient, a slope, or a factor's mantissa
  wire [vsq_isa::VEC_OP_BITS-1:0] op3 = control3[CONTROL-1-:vsq_isa::VEC_OP_BITS];
  wire is_scale3 = op3 == vsq_isa::VEC_OP_SCALE;
  wire takes_acc3 = op3 == vsq_isa::VEC_OP_MUL || is_scale3;
  wire is_table3 = op3 == vsq_isa::VEC_OP_TABLE;
  wire [TV-1:0] slope3 = segment3[2*TV-1-:TV];
  wire [LONG-1:0] long_slope3 = {{LONG - TV + 1{slope3[TV-1]}}, slope3[TV-2:0]};
  wire [LONG:0] long_acc3 = {{LONG - ACC + 1{acc3[ACC-1]}}, acc3};
  wire [LEFT-1:0] a3 = takes_acc3 ? long_acc3[LEFT-1:0] : is_table3 ? long_slope3[LEFT-1:0] : given3[LEFT-1:0];
  wire [FACTOR:0] long_value3 = {{FACTOR - VALUE + 1{value3[VALUE-1] & ~control3[0]}}, value3};
  wire [FACTOR:0] long_inside3 = {{FACTOR - INSIDE + 1{1'b0}}, inside3};
  wire [FACTOR:0] long_mantissa3 = {{FACTOR - MANTISSA + 1{1'b0}}, given3[MANTISSA-1:0]};
  wire [FACTOR-1:0] b3 = is_table3 ? long_inside3[FACTOR-1:0]
      : is_scale3 ? long_mantissa3[FACTOR-1:0] : long_value3[FACTOR-1:0];
  wire [PRODUCT-1:0] product3, product4;
  multiplier #(.A(LEFT), .B(FACTOR)) multiply (
      .a(a3), .b(b3), .b_unsigned(is_table3 | is_scale3 | control3[0]), .product(product3)
  );
  delay #(.WIDTH(PRODUCT)) product_register (.clock(clock), .in(product3), .out(product4));
  delay #(.WIDTH(CONTROL)) control_multiply (.clock(clock), .in(control3), .out(control4));
  delay #(.WIDTH(LONG)) given_multiply (.clock(clock), .in(given3), .out(given4));
  wire [VALUE:0] value4;
  delay #(.WIDTH(VALUE + 1)) value_multiply (
      .clock(clock), .in({value3[VALUE-1] & ~control3[0], value3}), .out(value4)
  );
  wire [TV-1:0] table_value4;
  delay #(.WIDTH(TV)) table_value_register (.clock(clock), .in(segment3[TV-1:0]), .out(table_value4));

  // round, add, compare, saturate
  wire [vsq_isa::VEC_OP_BITS-1:0] op4 = control4[CONTROL-1-:vsq_isa::VEC_OP_BITS];
  wire src_acc4 = control4[2];
  wire src_given4 = control4[1];
  wire is_mul4 = op4 == vsq_isa::VEC_OP_MUL;
  wire is_table4 = op4 == vsq_isa::VEC_OP_TABLE;
  wire is_mac4 = op4 == vsq_isa::VEC_OP_MAC;
  wire is_sub4 = op4 == vsq_isa::VEC_OP_SUB;
  wire is_scale4 = op4 == vsq_isa::VEC_OP_SCALE;
  wire rounds4 = is_mul4 | is_table4 | is_scale4;
  wire [5:0] shift4 = is_mul4 ? control4[3+:vsq_isa::VEC_SHIFT_BITS]
      : is_table4 ? INSIDE : is_scale4 ? given4[MANTISSA+:6] : 6'd0;
  wire [PRODUCT-1:0] floor4;
  wire half4;
  round_shift #(.WIDTH(PRODUCT)) scale_down (.n(product4), .shift(shift4), .floor(floor4), .half(half4));
  wire [LONG:0] long_value4 = {{LONG - VALUE{value4[VALUE]}}, value4};
  wire signed [LONG:0] operand4 = src_given4 ? {given4[LONG-1], given4} : long_value4;
  wire [LONG:0] long_table_value4 = {{LONG - TV + 1{table_value4[TV-1]}}, table_value4};
  wire [ACC-1:0] lane4 = forward ? acc : acc_late;
  wire signed [LONG:0] acc4 = {{LONG - ACC + 1{lane4[ACC-1]}}, lane4};
  // The adder's two operands: mul and scale round only; add and sub take no product.
  wire [LONG:0] left4 = is_mul4 | is_scale4 ? {LONG + 1{1'b0}} : is_table4 ? long_table_value4 : acc4;
  wire [LONG:0] right4 = rounds4 | is_mac4 ? floor4[LONG:0] : operand4 ^ {LONG + 1{is_sub4}};
  wire [LONG:0] sum4 = left4 + right4 + {{LONG{1'b0}}, (rounds4 & half4) | is_sub4};
  wire takes_operand4 = op4 == vsq_isa::VEC_OP_MOV
      || (op4 == vsq_isa::VEC_OP_MAX && operand4 > acc4)
      || (op4 == vsq_isa::VEC_OP_MIN && operand4 < acc4);
  wire compares4 = op4 == vsq_isa::VEC_OP_MOV || op4 == vsq_isa::VEC_OP_MAX || op4 == vsq_isa::VEC_OP_MIN;
  // Beyond 32 bits: of a scaled accumulator what the sum does not hold, or the sum.
  wire saturates4 = is_sub4 | is_scale4 | (op4 == vsq_isa::VEC_OP_ADD & src_acc4);
  wire beyond4 = is_scale4 & floor4[PRODUCT-1:LONG] != {PRODUCT - LONG{floor4[PRODUCT-1]}};
  wire negative4 = beyond4 ? floor4[PRODUCT-1] : sum4[LONG];
  wire fits4 = ~beyond4 & sum4[LONG:31] == {LONG - 30{sum4[LONG]}};
  wire [LONG-1:0] bounded4 = saturates4 & ~fits4
      ? {{LONG - 31{negative4}}, {31{~negative4}}} : sum4[LONG-1:0];
  delay #(.WIDTH(ACC)) result_register (
      .clock(clock),
      .in(!compares4 ? bounded4[ACC-1:0] : takes_operand4 ? operand4[ACC-1:0] : lane4),
      .out(acc)
  );
endmodule

// clip(rhu(acc - from, 2^shift), -2^15, 2^15 - 1) + 2^15: the segment of a table in the high bits, the place in it in the low
// ones.
module table_place #(
    parameter ACC = 32,
    parameter LONG = 32
) (
    input [ACC-1:0] acc,
    input [LONG-1:0] from,
    input [vsq_isa::VEC_SHIFT_BITS-1:0] shift,
    output [vsq_isa::TABLE_INPUT_BITS-1:0] place
);
  localparam BITS = vsq_isa::TABLE_INPUT_BITS;
  wire [LONG:0] difference = {{LONG - ACC + 1{acc[ACC-1]}}, acc} - {from[LONG-1], from};
  wire [LONG:0] floor;
  wire half;
  round_shift #(.WIDTH(LONG + 1)) scale_down (.n(difference), .shift(shift), .floor(floor), .half(half));
  wire negative = floor[LONG];
  wire fits = floor[LONG:BITS-1] == {LONG - BITS + 2{negative}};
  wire [BITS:0] rounded = {1'b0, ~floor[BITS-1], floor[BITS-2:0]} + {{BITS{1'b0}}, half};
  assign place = fits ? rounded[BITS-1:0] | {BITS{rounded[BITS]}} : {BITS{~negative}};
endmodule
