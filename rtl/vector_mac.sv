// One output lane of the array: in every cycle the dot product of a vector of weights and one of activations, times the
// product of their scales, added to an accumulator.
//
//   read | multiply | adder tree, REGISTERS | scale | accumulate
//
// A bar is a register; without scales the stage `scale` is not there. acc_in, fresh, forward, reset and shift belong to the
// vectors that entered LATENCY - 1 cycles before them.
//
// Where elements come in digits, low ones of weights are unsigned (LOW_DIGITS: weights have a bit more in the multipliers, a
// sign or 0), and dot products may stay as they are, whatever the scales (UNSCALED).
module vector_mac #(
    parameter V = 16,
    parameter NW = 4,
    parameter NA = 4,
    parameter MW = 4,
    parameter MA = 4,
    parameter SHIFT = 0,
    parameter P = 8,
    parameter ACC = 32,
    parameter TREE_REGISTERS = 15,
    parameter TREE_CYCLES = 4,
    parameter LOW_DIGITS = 0,
    parameter UNSCALED = 0
) (
    input clock,
    input [V*NW-1:0] weights,
    input [(MW>0?MW:1)-1:0] weight_scale,
    input weight_unsigned,
    input [V*NA-1:0] activations,
    input [(MA>0?MA:1)-1:0] activation_scale,
    input activation_unsigned,
    input unscaled,
    input reset,
    input fresh,
    input forward,
    input [vsq_isa::GEMM_SHIFT_BITS-1:0] shift,
    input [ACC-1:0] acc_in,
    output [ACC-1:0] acc
);
  localparam A = NW + LOW_DIGITS;
  localparam PRODUCT = A + NA;
  localparam DOT = PRODUCT + $clog2(V);
  localparam SCALED = DOT + P;

  wire [V*NW-1:0] w;
  wire [V*NA-1:0] x;
  wire x_unsigned;
  delay #(.WIDTH(V * NW)) weight_register (.clock(clock), .in(weights), .out(w));
  delay #(.WIDTH(V * NA)) activation_register (.clock(clock), .in(activations), .out(x));
  delay #(.WIDTH(1)) sign_register (.clock(clock), .in(activation_unsigned), .out(x_unsigned));

  wire [V*PRODUCT-1:0] products, terms;
  genvar i;
  generate
    if (LOW_DIGITS != 0) begin : digits
      wire w_unsigned;
      delay #(.WIDTH(1)) unsigned_register (.clock(clock), .in(weight_unsigned), .out(w_unsigned));
    end
    for (i = 0; i < V; i = i + 1) begin : lane
      wire [A-1:0] weight;
      if (LOW_DIGITS != 0) assign weight = {~digits.w_unsigned & w[i*NW+NW-1], w[i*NW+:NW]};
      else assign weight = w[i*NW+:NW];
      multiplier #(.A(A), .B(NA)) multiply (
          .a(weight),
          .b(x[i*NA+:NA]),
          .b_unsigned(x_unsigned),
          .product(products[i*PRODUCT+:PRODUCT])
      );
    end
  endgenerate
  delay #(.WIDTH(V * PRODUCT)) product_register (.clock(clock), .in(products), .out(terms));

  wire [DOT-1:0] dot;
  adder_tree #(.INPUTS(V), .WIDTH(PRODUCT), .REGISTERS(TREE_REGISTERS)) tree (
      .clock(clock),
      .terms(terms),
      .sum(dot)
  );

  generate
    if (P == 0) begin : plain
      accumulator #(.ACC(ACC), .ADDEND(DOT)) accumulate (
          .clock(clock), .reset(reset), .fresh(fresh), .forward(forward),
          .acc_in(acc_in), .addend(dot), .shift(shift), .acc(acc)
      );
    end else begin : scaled
      wire [(MW>0?MW:1)-1:0] s_w;
      wire [(MA>0?MA:1)-1:0] s_a;
      wire [SCALED-1:0] addend;
      wire is_unscaled;
      delay #(.WIDTH(1), .CYCLES(UNSCALED)) unscaled_register (
          .clock(clock), .in(unscaled), .out(is_unscaled)
      );
      delay #(.WIDTH(MW > 0 ? MW : 1)) weight_scale_register (.clock(clock), .in(weight_scale), .out(s_w));
      delay #(.WIDTH(MA > 0 ? MA : 1)) activation_scale_register (
          .clock(clock), .in(activation_scale), .out(s_a)
      );
      scale_unit #(
          .DOT(DOT), .WEIGHT(MW), .ACTIVATION(MA), .SHIFT(SHIFT), .P(P), .DOT_CYCLES(1 + TREE_CYCLES),
          .UNSCALED(UNSCALED)
      ) scale (
          .clock(clock), .weight_scale(s_w), .activation_scale(s_a), .unscaled(is_unscaled), .dot(dot), .scaled(addend)
      );
      accumulator #(.ACC(ACC), .ADDEND(SCALED)) accumulate (
          .clock(clock), .reset(reset), .fresh(fresh), .forward(forward),
          .acc_in(acc_in), .addend(addend), .shift(shift), .acc(acc)
      );
    end
  endgenerate
endmodule
