// The post-processing unit: LANES accumulators a cycle to results y, which go back to the accumulators (wide), and to a block
// of a record. `first` and `last` mark the blocks of a vector, and come with them.
module ppu #(
    parameter LANES = 16,
    parameter V = 16,
    parameter ACC = 32,
    parameter MULT = 16,
    parameter N = 4,
    parameter M = 4,
    parameter G = 4,
    parameter N2 = 4,
    parameter M2 = 4,
    parameter DIGIT = 4,
    parameter DIGITS = 1,
    parameter RES_DIGITS = 1,
    parameter ANY_FORM = 0,
    parameter MULTIPLY_CYCLES = 2,
    parameter DIVIDE_CYCLES = 2
) (
    input clock,
    input [LANES*ACC-1:0] acc,
    input [LANES*vsq_isa::PAR_BITS-1:0] par,
    input relu,
    input residual,
    input res_unsigned,
    input [RES_DIGITS*LANES*DIGIT-1:0] res_elements,
    input [(LANES>V?LANES/V:1)*(M>0?M:1)-1:0] res_scales,
    input [vsq_isa::PPU_RES_MULT_BITS-1:0] res_mult,
    input [vsq_isa::PPU_RES_SHIFT_BITS-1:0] res_shift,
    input [vsq_isa::PPU_RES_DIGITS_BITS-1:0] res_digits,
    input out_unsigned,
    input second,
    input [vsq_isa::PPU_OUT_BITS_BITS-1:0] out_bits,
    input [vsq_isa::PPU_OUT_SCALE_BITS_BITS-1:0] out_scale_bits,
    input [vsq_isa::PPU_DIGITS_BITS-1:0] digits,
    input first,
    input last,
    output [LANES*32-1:0] y,
    output [DIGITS*(LANES>V?LANES/V:1)*((LANES>V?V:LANES)*DIGIT+M)-1:0] record
);
  localparam SCALE = M > 0 ? M : 1;
  localparam LANE_CYCLES = MULTIPLY_CYCLES + 3;

  genvar i, k;
  generate
    for (i = 0; i < LANES; i = i + 1) begin : lane
      wire [RES_DIGITS*DIGIT-1:0] element;
      for (k = 0; k < RES_DIGITS; k = k + 1) begin : digit
        assign element[k*DIGIT+:DIGIT] = res_elements[(k*LANES+i)*DIGIT+:DIGIT];
      end
      ppu_lane #(
          .ACC(ACC), .MULT(MULT), .N(N), .M(M), .DIGIT(DIGIT), .DIGITS(RES_DIGITS), .MULTIPLY_CYCLES(MULTIPLY_CYCLES)
      ) post_process (
          .clock(clock),
          .acc(acc[i*ACC+:ACC]),
          .par(par[i*vsq_isa::PAR_BITS+:vsq_isa::PAR_BITS]),
          .relu(relu),
          .residual(residual),
          .res_unsigned(res_unsigned),
          .res_element(element),
          .res_scale(res_scales[(LANES>V?i/V:0)*SCALE+:SCALE]),
          .res_mult(res_mult),
          .res_shift(res_shift),
          .res_digits(res_digits),
          .y(y[32*i+:32])
      );
    end
  endgenerate

  wire is_unsigned, is_second, is_first, is_last;
  delay #(.WIDTH(4), .CYCLES(LANE_CYCLES)) mark_register (
      .clock(clock), .in({out_unsigned, second, first, last}), .out({is_unsigned, is_second, is_first, is_last})
  );
  localparam FORM = vsq_isa::PPU_OUT_BITS_BITS + vsq_isa::PPU_OUT_SCALE_BITS_BITS + vsq_isa::PPU_DIGITS_BITS;
  wire [FORM-1:0] form;
  delay #(.WIDTH(FORM), .CYCLES(ANY_FORM != 0 ? LANE_CYCLES : 0)) form_register (
      .clock(clock), .in({out_bits, out_scale_bits, digits}), .out(form)
  );
  quantizer #(
      .LANES(LANES), .V(V), .N(N), .M(M), .G(G), .N2(N2), .M2(M2), .DIGIT(DIGIT), .DIGITS(DIGITS),
      .ANY_FORM(ANY_FORM), .DIVIDE_CYCLES(DIVIDE_CYCLES)
  ) quantize (
      .clock(clock), .y(y), .is_unsigned(is_unsigned), .second(is_second),
      .out_bits(form[FORM-1-:vsq_isa::PPU_OUT_BITS_BITS]),
      .out_scale_bits(form[vsq_isa::PPU_DIGITS_BITS+:vsq_isa::PPU_OUT_SCALE_BITS_BITS]),
      .digits(form[vsq_isa::PPU_DIGITS_BITS-1:0]), .first(is_first), .last(is_last),
      .record(record)
  );
endmodule
