// The scale unit: the product of two scales, rounded to P bits, times a dot product that comes DOT_CYCLES (at least 1)
// after the scales; registered. With `unscaled`, which comes with the scales, the product counts as 1 (if UNSCALED).
module scale_unit #(
    parameter DOT = 12,
    parameter WEIGHT = 4,
    parameter ACTIVATION = 4,
    parameter SHIFT = 0,
    parameter P = 8,
    parameter DOT_CYCLES = 5,
    parameter UNSCALED = 0
) (
    input clock,
    input [(WEIGHT>0?WEIGHT:1)-1:0] weight_scale,
    input [(ACTIVATION>0?ACTIVATION:1)-1:0] activation_scale,
    input unscaled,
    input [DOT-1:0] dot,
    output [DOT+P-1:0] scaled
);
  wire [P-1:0] p, factor;
  wire [DOT+P-1:0] product;
  scale_product #(
      .WEIGHT(WEIGHT), .ACTIVATION(ACTIVATION), .SHIFT(SHIFT), .P(P),
      .PRODUCT_CYCLES(1), .ROUNDED_CYCLES(DOT_CYCLES - 1)
  ) scales (
      .clock(clock), .weight_scale(weight_scale), .activation_scale(activation_scale), .p(p)
  );
  generate
    if (UNSCALED != 0) begin : choice
      wire one;
      delay #(.WIDTH(1), .CYCLES(DOT_CYCLES)) unscaled_register (.clock(clock), .in(unscaled), .out(one));
      localparam [P-1:0] ONE = 1;
      assign factor = one ? ONE : p;
    end else begin : always_scaled
      assign factor = p;
    end
  endgenerate
  multiplier #(.A(DOT), .B(P)) multiply (
      .a(dot), .b(factor), .b_unsigned(1'b1), .product(product)
  );
  delay #(.WIDTH(DOT + P)) scaled_register (.clock(clock), .in(product), .out(scaled));
endmodule
