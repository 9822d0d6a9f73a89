// REDUCE: an entry of accumulators a clock, to a number for each row of them, or a factor. What is done with a row stands at its
// ports when its last entry has come through the tree; instructions do not overlap.
module reduce #(
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
    input [vsq_isa::REDUCE_TO_BITS-1:0] to,
    input [vsq_isa::REDUCE_EXPONENT_BITS-1:0] exponent,
    input [vsq_isa::REDUCE_MULT_BITS-1:0] mult,
    input [vsq_isa::REDUCE_IMM_BITS-1:0] imm,
    input [LANES*vsq_isa::PAR_BITS-1:0] par,
    output [vsq_isa::TABLE_ADDRESS_BITS-$clog2(LANES)-1:0] entry,
    output [31:0] result
);
  wire [vsq_isa::ROW_BITS-1:0] total;
  reduce_tree #(
      .LANES(LANES), .ACC(ACC), .TREE_REGISTERS(TREE_REGISTERS), .TREE_CYCLES(TREE_CYCLES)
  ) tree (
      .clock(clock), .acc(acc), .op(op), .shift(shift), .first(first), .last(last), .last_lanes(last_lanes), .total(total)
  );
  row_unit #(.LANES(LANES)) finish (
      .clock(clock), .total(total), .to(to), .exponent(exponent), .mult(mult), .imm(imm), .par(par),
      .entry(entry), .result(result)
  );
endmodule
