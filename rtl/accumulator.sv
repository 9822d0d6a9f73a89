// An accumulator of ACC bits: what its scratchpad holds, or what it wrote in the cycle before (`forward`, where the same
// entry comes twice running, before the scratchpad could be read), or 0 where a reduction begins (`fresh`), plus `addend`
// times 2^shift, for digits of operands that are worth more. `reset` writes 0. The compiler proves that no sum overflows (docs/numerics.md, section 4).
module accumulator #(
    parameter ACC = 32,
    parameter ADDEND = 20
) (
    input clock,
    input reset,
    input fresh,
    input forward,
    input [ACC-1:0] acc_in,
    input [ADDEND-1:0] addend,
    input [vsq_isa::GEMM_SHIFT_BITS-1:0] shift,
    output reg [ACC-1:0] acc
);
  wire [ACC-1:0] base = fresh ? {ACC{1'b0}} : forward ? acc : acc_in;
  wire [ACC-1:0] extended;

  generate
    if (ADDEND < ACC) assign extended = {{ACC - ADDEND{addend[ADDEND-1]}}, addend};
    else assign extended = addend[ACC-1:0];
  endgenerate

  always @(posedge clock) acc <= reset ? {ACC{1'b0}} : base + (extended << shift);
endmodule
