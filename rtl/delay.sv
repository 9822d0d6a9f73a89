// `in`, CYCLES clocks later; a wire for 0.
module delay #(
    parameter WIDTH = 1,
    parameter CYCLES = 1
) (
    input clock,
    input [WIDTH-1:0] in,
    output [WIDTH-1:0] out
);
  generate
    if (CYCLES == 0) begin : none
      assign out = in;
    end else begin : some
      reg [WIDTH*CYCLES-1:0] held;
      if (CYCLES == 1) begin : one
        always @(posedge clock) held <= in;
      end else begin : more
        always @(posedge clock) held <= {held[WIDTH*(CYCLES-1)-1:0], in};
      end
      assign out = held[WIDTH*CYCLES-1-:WIDTH];
    end
  endgenerate
endmodule
