// p = s_w * s_a, of which rounding half up removes SHIFT low bits; what would need bit P + 1 saturates
// (docs/numerics.md, section 4; VS-Quant, section 5). A side of no bits has no scales. Registers behind the product and
// behind the rounding, where asked for.
module scale_product #(
    parameter WEIGHT = 4,
    parameter ACTIVATION = 4,
    parameter SHIFT = 0,
    parameter P = 8,
    parameter PRODUCT_CYCLES = 1,
    parameter ROUNDED_CYCLES = 0
) (
    input clock,
    input [(WEIGHT>0?WEIGHT:1)-1:0] weight_scale,
    input [(ACTIVATION>0?ACTIVATION:1)-1:0] activation_scale,
    output [P-1:0] p
);
  localparam FULL = WEIGHT + ACTIVATION;
  wire [FULL-1:0] product, held;
  wire [P-1:0] rounded;

  generate
    if (WEIGHT == 0) begin : activations_only
      assign product = activation_scale;
    end else if (ACTIVATION == 0) begin : weights_only
      assign product = weight_scale;
    end else begin : both
      multiplier #(.A(WEIGHT), .B(ACTIVATION), .A_SIGNED(0)) multiply (
          .a(weight_scale),
          .b(activation_scale),
          .b_unsigned(1'b1),
          .product(product)
      );
    end
  endgenerate

  delay #(.WIDTH(FULL), .CYCLES(PRODUCT_CYCLES)) product_register (
      .clock(clock),
      .in(product),
      .out(held)
  );

  generate
    if (SHIFT == 0) begin : whole
      assign rounded = held;
    end else begin : round
      wire [P:0] sum = {1'b0, held[FULL-1:SHIFT]} + {{P{1'b0}}, held[SHIFT-1]};
      assign rounded = sum[P-1:0] | {P{sum[P]}};
    end
  endgenerate

  delay #(.WIDTH(P), .CYCLES(ROUNDED_CYCLES)) rounded_register (
      .clock(clock),
      .in(rounded),
      .out(p)
  );
endmodule
