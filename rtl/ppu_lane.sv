// Post-processing of one accumulator to y (docs/numerics.md, section 5): its product with a channel's multiplier, which a bit of
// the shift makes negative, rounded and shifted, plus bias, plus a residual, of up to DIGITS digits, with a multiplier of its own; saturated to 32 bits, rectified, clipped.
//
//   read | multiply, MULTIPLY_CYCLES | shift | add and clip
module ppu_lane #(
    parameter ACC = 32,
    parameter MULT = 16,
    parameter N = 4,
    parameter M = 4,
    parameter DIGIT = 4,
    parameter DIGITS = 1,
    parameter MULTIPLY_CYCLES = 2
) (
    input clock,
    input [ACC-1:0] acc,
    input [vsq_isa::PAR_BITS-1:0] par,
    input relu,
    input residual,
    input res_unsigned,
    input [DIGITS*DIGIT-1:0] res_element,
    input [vsq_isa::PPU_RES_DIGITS_BITS-1:0] res_digits,
    input [(M>0?M:1)-1:0] res_scale,
    input [vsq_isa::PPU_RES_MULT_BITS-1:0] res_mult,
    input [vsq_isa::PPU_RES_SHIFT_BITS-1:0] res_shift,
    output [31:0] y
);
  localparam PRODUCT = ACC + MULT;
  localparam VALUE = N + M;
  localparam RES_PRODUCT = VALUE + vsq_isa::PPU_RES_MULT_BITS;
  localparam WIDEST = PRODUCT > RES_PRODUCT + 1 ? PRODUCT : RES_PRODUCT + 1;
  localparam TOTAL = (WIDEST > 32 ? WIDEST : 32) + 2;

  // read
  wire [ACC-1:0] acc_held;
  wire [vsq_isa::PAR_BITS-1:0] par_held;
  wire relu_held, residual_held, unsigned_held;
  wire [N-1:0] element_held;
  wire [vsq_isa::PPU_RES_MULT_BITS-1:0] res_mult_held;
  wire [vsq_isa::PPU_RES_SHIFT_BITS-1:0] res_shift_held;
  delay #(.WIDTH(ACC)) acc_register (.clock(clock), .in(acc), .out(acc_held));
  delay #(.WIDTH(vsq_isa::PAR_BITS)) par_register (.clock(clock), .in(par), .out(par_held));
  delay #(.WIDTH(3)) flag_register (
      .clock(clock), .in({relu, residual, res_unsigned}), .out({relu_held, residual_held, unsigned_held})
  );
  wire [N-1:0] whole;
  join_digits #(.N(N), .DIGIT(DIGIT), .DIGITS(DIGITS)) join_element (
      .parts(res_element), .digits(res_digits), .is_unsigned(res_unsigned), .element(whole)
  );
  delay #(.WIDTH(N)) element_register (.clock(clock), .in(whole), .out(element_held));
  delay #(.WIDTH(vsq_isa::PPU_RES_MULT_BITS + vsq_isa::PPU_RES_SHIFT_BITS)) factor_register (
      .clock(clock), .in({res_mult, res_shift}), .out({res_mult_held, res_shift_held})
  );

  // multiply
  // A factor with a sign: its lowest bits are there first, and so are those of the product.
  wire [MULT-1:0] magnitude = par_held[vsq_isa::PAR_MULT_LSB+:MULT];
  wire minus = par_held[vsq_isa::PAR_NEGATIVE_BIT];
  wire [MULT:0] factor = {1'b0, magnitude} ^ {MULT + 1{minus}};
  wire [MULT:0] mult = factor + {{MULT{1'b0}}, minus};
  wire [PRODUCT:0] product_exact;
  split_multiplier #(.A(ACC), .B(MULT + 1), .CYCLES(MULTIPLY_CYCLES)) multiply (
      .clock(clock), .a(acc_held), .b(mult), .b_unsigned(1'b0), .product(product_exact)
  );
  wire [PRODUCT-1:0] product = product_exact[PRODUCT-1:0];  // no magnitude has a bit more

  // multiply, the residual: element times scale in the first cycle, that times its multiplier in the last
  localparam VALUE_CYCLES = MULTIPLY_CYCLES > 1 ? 1 : 0;
  localparam RES_CYCLES = MULTIPLY_CYCLES - VALUE_CYCLES;
  wire [N-1:0] element = element_held & {N{residual_held}};
  wire [VALUE-1:0] value, value_held;
  wire [RES_PRODUCT-1:0] res_exact, res_product;
  wire value_unsigned, product_unsigned;
  wire [vsq_isa::PPU_RES_MULT_BITS-1:0] res_factor;
  generate
    if (M == 0) begin : elements_alone
      assign value = element;
    end else begin : scaled
      wire [M-1:0] scale_held;
      delay #(.WIDTH(M)) scale_register (.clock(clock), .in(res_scale), .out(scale_held));
      multiplier #(.A(M), .B(N), .A_SIGNED(0)) scale (
          .a(scale_held), .b(element), .b_unsigned(unsigned_held), .product(value)
      );
    end
  endgenerate
  delay #(.WIDTH(VALUE + vsq_isa::PPU_RES_MULT_BITS + 1), .CYCLES(VALUE_CYCLES)) value_register (
      .clock(clock), .in({value, res_mult_held, unsigned_held}), .out({value_held, res_factor, value_unsigned})
  );
  multiplier #(.A(vsq_isa::PPU_RES_MULT_BITS), .B(VALUE), .A_SIGNED(0)) multiply_residual (
      .a(res_factor), .b(value_held), .b_unsigned(value_unsigned), .product(res_exact)
  );
  delay #(.WIDTH(RES_PRODUCT + 1), .CYCLES(RES_CYCLES)) res_product_register (
      .clock(clock), .in({res_exact, value_unsigned}), .out({res_product, product_unsigned})
  );

  // shift
  wire [vsq_isa::PAR_SHIFT_BITS-1:0] shift;
  wire [vsq_isa::PPU_RES_SHIFT_BITS-1:0] res_shift_now;
  delay #(.WIDTH(vsq_isa::PAR_SHIFT_BITS + vsq_isa::PPU_RES_SHIFT_BITS), .CYCLES(MULTIPLY_CYCLES)) shift_register (
      .clock(clock),
      .in({par_held[vsq_isa::PAR_SHIFT_LSB+:vsq_isa::PAR_SHIFT_BITS], res_shift_held}),
      .out({shift, res_shift_now})
  );
  wire [PRODUCT-1:0] shifted, shifted_held;
  wire [RES_PRODUCT:0] res_shifted, res_shifted_held;
  wire half, half_held, res_half, res_half_held;
  round_shift #(.WIDTH(PRODUCT)) scale_down (
      .n(product), .shift(shift[5:0]), .floor(shifted), .half(half)
  );
  round_shift #(.WIDTH(RES_PRODUCT + 1)) scale_residual_down (
      .n({~product_unsigned & res_product[RES_PRODUCT-1], res_product}),
      .shift(res_shift_now), .floor(res_shifted), .half(res_half)
  );
  delay #(.WIDTH(PRODUCT + 1)) shifted_register (
      .clock(clock), .in({shifted, half}), .out({shifted_held, half_held})
  );
  delay #(.WIDTH(RES_PRODUCT + 2)) res_shifted_register (
      .clock(clock), .in({res_shifted, res_half}), .out({res_shifted_held, res_half_held})
  );

  // add and clip
  wire [31:0] bias, clip;
  wire relu_now;
  delay #(.WIDTH(65), .CYCLES(MULTIPLY_CYCLES + 1)) bias_register (
      .clock(clock),
      .in({par_held[vsq_isa::PAR_BIAS_LSB+:32], par_held[vsq_isa::PAR_CLIP_LSB+:32], relu_held}),
      .out({bias, clip, relu_now})
  );
  wire signed [TOTAL-1:0] total = {{TOTAL - PRODUCT{shifted_held[PRODUCT-1]}}, shifted_held}
      + {{TOTAL - 32{bias[31]}}, bias}
      + {{TOTAL - RES_PRODUCT - 1{res_shifted_held[RES_PRODUCT]}}, res_shifted_held}
      + {{TOTAL - 1{1'b0}}, half_held} + {{TOTAL - 1{1'b0}}, res_half_held};
  wire negative = total[TOTAL-1];
  wire fits = total[TOTAL-1:31] == {TOTAL - 31{negative}};
  wire signed [31:0] saturated = fits ? total[31:0] : {negative, {31{~negative}}};
  wire signed [31:0] rectified = relu_now & negative ? 32'd0 : saturated;
  wire signed [31:0] bound = clip;
  delay #(.WIDTH(32)) y_register (.clock(clock), .in(rectified < bound ? rectified : bound), .out(y));
endmodule
