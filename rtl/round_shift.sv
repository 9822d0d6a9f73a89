// rhu(n, 2^shift) of a signed n, as its floor and the bit that is to be added to it (docs/numerics.md, section 2).
module round_shift #(
    parameter WIDTH = 48
) (
    input [WIDTH-1:0] n,
    input [5:0] shift,
    output [WIDTH-1:0] floor,
    output half
);
  wire signed [WIDTH:0] doubled = {n, 1'b0};
  assign {floor, half} = doubled >>> shift;
endmodule
