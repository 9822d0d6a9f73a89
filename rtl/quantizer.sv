// A block of LANES results y to elements of N bits, and their vector's scale of M bits (docs/numerics.md, section 3.2,
// requantize), as they lie in a record: elements, then scale, for each vector of the block.
//
//   largest magnitude, BLOCKS | scale | divide, DIVIDE_CYCLES            with scales; without: round and clip |
//
// With `second`, elements are signed ones of N2 bits, and scales of M2, 1 if that is 0: what both sides of the array take. They
// wait for STORE in N and M bits.
//
// ANY_FORM: elements may have as many bits as out_bits says, up to N, and scales as out_scale_bits does, unless out_bits is 0,
// when they have DIGIT, or N2. A vector is then up to DIGITS records, one for each digit of DIGIT bits, or N2, the lowest first.
//
// A vector of more lanes than a block comes in up to BLOCKS = V / LANES blocks, marked first and last; each waits until the
// largest magnitude of all of them is known.
module quantizer #(
    parameter LANES = 16,
    parameter V = 16,
    parameter N = 4,
    parameter M = 4,
    parameter G = 4,
    parameter N2 = 4,
    parameter M2 = 4,
    parameter DIGIT = 4,
    parameter DIGITS = 1,
    parameter ANY_FORM = 0,
    parameter DIVIDE_CYCLES = 2
) (
    input clock,
    input [LANES*32-1:0] y,
    input is_unsigned,
    input second,
    input [vsq_isa::PPU_OUT_BITS_BITS-1:0] out_bits,
    input [vsq_isa::PPU_OUT_SCALE_BITS_BITS-1:0] out_scale_bits,
    input [vsq_isa::PPU_DIGITS_BITS-1:0] digits,
    input first,
    input last,
    output [DIGITS*(LANES>V?LANES/V:1)*((LANES>V?V:LANES)*DIGIT+M)-1:0] record
);
  localparam VECTORS = LANES > V ? LANES / V : 1;
  localparam BLOCKS = V > LANES ? V / LANES : 1;
  localparam PART = LANES / VECTORS;
  localparam MAGNITUDE = N + M + G;
  localparam RECORD = PART * DIGIT + M;

  // What a block becomes: the largest magnitude that fits; what its scale depends on, and, in the lowest SPLIT bits, its digits.
  localparam SPLIT = DIGITS > 1 && N2 < DIGIT ? 2 + vsq_isa::PPU_DIGITS_BITS : 1;
  localparam FORM = ANY_FORM != 0 ? SPLIT + vsq_isa::PPU_OUT_BITS_BITS : 2;
  wire [MAGNITUDE-1:0] limit;
  wire [FORM-1:0] form;
  wire [LANES*MAGNITUDE-1:0] magnitudes;
  wire [LANES-1:0] negative;
  genvar i, j, k;
  generate
    if (ANY_FORM == 0) begin : built_form
      localparam SMAX = M > 0 ? (1 << M) - 1 : 1;
      localparam [MAGNITUDE-1:0] LIMIT_UNSIGNED = (((1 << N) - 1) * SMAX) << G;
      localparam [MAGNITUDE-1:0] LIMIT_SIGNED = (((1 << (N - 1)) - 1) * SMAX) << G;
      localparam SMAX_SECOND = M2 > 0 ? (1 << M2) - 1 : 1;
      localparam [MAGNITUDE-1:0] LIMIT_SECOND = (((1 << (N2 - 1)) - 1) * SMAX_SECOND) << G;
      assign limit = second ? LIMIT_SECOND : is_unsigned ? LIMIT_UNSIGNED : LIMIT_SIGNED;
      assign form = {second, is_unsigned};
    end else begin : any_form
      wire [3:0] bits = out_bits != 0 ? out_bits : second ? N2 : DIGIT;
      wire [3:0] scale_bits = out_bits != 0 ? out_scale_bits : second ? M2 : M;
      wire [3:0] ones = bits - {3'b000, ~is_unsigned};  // of the largest element, 2^ones - 1
      localparam [MAGNITUDE-1:0] ALL = ~0;
      wire [MAGNITUDE-1:0] qmax = ~(ALL << ones);
      wire [MAGNITUDE-1:0] most = scale_bits == 0 ? qmax : (qmax << scale_bits) - qmax;
      assign limit = most << G;
      if (SPLIT > 1) assign form = {ones, digits, second, is_unsigned};
      else assign form = {ones, is_unsigned};
    end

    for (i = 0; i < LANES; i = i + 1) begin : lane
      magnitude #(.WIDTH(MAGNITUDE)) saturate (
          .y(y[32*i+:32]), .limit(limit), .magnitude(magnitudes[i*MAGNITUDE+:MAGNITUDE])
      );
      assign negative[i] = y[32*i+31];
    end

    if (M == 0) begin : unscaled
      wire [LANES*N-1:0] elements;
      for (i = 0; i < LANES; i = i + 1) begin : lane
        wire [MAGNITUDE+1:0] steps =
            {1'b0, magnitudes[i*MAGNITUDE+:MAGNITUDE], 1'b0} + (1 << G) - {{MAGNITUDE + 1{1'b0}}, negative[i]};
        element #(.N(N)) sign (
            .quotient(steps[G+1+:N]), .negative(negative[i]), .is_unsigned(is_unsigned), .element(elements[i*N+:N])
        );
      end
      wire [LANES*N-1:0] elements_held;
      delay #(.WIDTH(LANES * N)) element_register (.clock(clock), .in(elements), .out(elements_held));
      wire [SPLIT-1:0] split;
      delay #(.WIDTH(SPLIT), .CYCLES(DIGITS > 1)) split_register (
          .clock(clock), .in(form[SPLIT-1:0]), .out(split)
      );
      digit_records #(
          .LANES(LANES), .N(N), .DIGIT(DIGIT), .N2(N2), .DIGITS(DIGITS), .SPLIT(SPLIT)
      ) records (.elements(elements_held), .split(split), .parts(record));
    end else begin : scaled
      for (j = 0; j < VECTORS; j = j + 1) begin : vector
        wire [MAGNITUDE-1:0] peak, final_peak;
        wire [PART*MAGNITUDE-1:0] held;
        wire [PART-1:0] held_negative;
        wire [FORM-1:0] held_form;
        largest #(.INPUTS(PART), .WIDTH(MAGNITUDE)) of_block (
            .values(magnitudes[j*PART*MAGNITUDE+:PART*MAGNITUDE]), .most(peak)
        );
        vector_maximum #(.BLOCKS(BLOCKS), .WIDTH(MAGNITUDE), .PAYLOAD(PART * MAGNITUDE + PART + FORM)) of_vector (
            .clock(clock), .first(first), .last(last), .peak(peak),
            .payload({magnitudes[j*PART*MAGNITUDE+:PART*MAGNITUDE], negative[j*PART+:PART], form}),
            .final_peak(final_peak), .held({held, held_negative, held_form})
        );

        wire [M-1:0] scale, divisor, scale_out;
        wire [PART*MAGNITUDE-1:0] dividends;
        wire [PART-1:0] dividends_negative, quotients_negative;
        wire [SPLIT-1:0] dividends_split, split;
        wire [PART*N-1:0] elements;
        wire [DIGITS*PART*DIGIT-1:0] parts;
        if (ANY_FORM == 0) begin : of_built_form
          vector_scale #(.N(N), .M(M), .G(G), .N2(N2), .M2(M2)) choose (
              .peak(final_peak), .is_unsigned(held_form[0]), .second(held_form[1]), .scale(scale)
          );
        end else begin : of_any_form
          any_vector_scale #(.N(N), .M(M), .G(G)) choose (
              .peak(final_peak), .ones(held_form[FORM-1:SPLIT]), .scale(scale)
          );
        end
        delay #(.WIDTH(M + PART * MAGNITUDE + PART + SPLIT)) scale_register (
            .clock(clock), .in({scale, held, held_negative, held_form[SPLIT-1:0]}),
            .out({divisor, dividends, dividends_negative, dividends_split})
        );
        delay #(.WIDTH(M + PART + SPLIT), .CYCLES(DIVIDE_CYCLES)) sign_register (
            .clock(clock), .in({divisor, dividends_negative, dividends_split}),
            .out({scale_out, quotients_negative, split})
        );
        for (k = 0; k < PART; k = k + 1) begin : lane
          // rhu(y, scale * 2^G) as floor((2 |y| + scale * 2^G - negative) / (2 * scale * 2^G)), the sign apart.
          wire [MAGNITUDE+1:0] steps = {1'b0, dividends[k*MAGNITUDE+:MAGNITUDE], 1'b0}
              + ({{N + G + 2{1'b0}}, divisor} << G) - {{MAGNITUDE + 1{1'b0}}, dividends_negative[k]};
          wire [N-1:0] quotient;
          divider #(.BITS(N), .DIVISOR(M), .CYCLES(DIVIDE_CYCLES)) divide (
              .clock(clock), .dividend(steps[G+1+:N+M]), .divisor(divisor), .quotient(quotient)
          );
          element #(.N(N)) sign (
              .quotient(quotient), .negative(quotients_negative[k]), .is_unsigned(split[0]),
              .element(elements[k*N+:N])
          );
        end
        digit_records #(
            .LANES(PART), .N(N), .DIGIT(DIGIT), .N2(N2), .DIGITS(DIGITS), .SPLIT(SPLIT)
        ) records (.elements(elements), .split(split), .parts(parts));
        for (k = 0; k < DIGITS; k = k + 1) begin : digit
          assign record[(k*VECTORS+j)*RECORD+:RECORD] = {scale_out, parts[k*PART*DIGIT+:PART*DIGIT]};
        end
      end
    end
  endgenerate
endmodule

// |y|, at most `limit`, which WIDTH bits hold.
module magnitude #(
    parameter WIDTH = 12
) (
    input [31:0] y,
    input [WIDTH-1:0] limit,
    output [WIDTH-1:0] magnitude
);
  wire fits = y[31:WIDTH] == {32 - WIDTH{y[31]}};
  wire [WIDTH:0] absolute = {1'b0, y[WIDTH-1:0] ^ {WIDTH{y[31]}}} + {{WIDTH{1'b0}}, y[31]};
  assign magnitude = !fits || absolute > {1'b0, limit} ? limit : absolute[WIDTH-1:0];
endmodule

// An element from its magnitude and sign; unsigned ones are 0 where y was negative.
module element #(
    parameter N = 4
) (
    input [N-1:0] quotient,
    input negative,
    input is_unsigned,
    output [N-1:0] element
);
  assign element = !negative ? quotient : is_unsigned ? {N{1'b0}} : -quotient;
endmodule

// The largest of INPUTS (a power of two) unsigned numbers.
module largest #(
    parameter INPUTS = 16,
    parameter WIDTH = 12
) (
    input [INPUTS*WIDTH-1:0] values,
    output [WIDTH-1:0] most
);
  localparam LEVELS = $clog2(INPUTS);
  genvar l, i;
  generate
    for (l = 0; l < LEVELS; l = l + 1) begin : level
      localparam PAIRS = INPUTS >> (l + 1);
      wire [2*PAIRS*WIDTH-1:0] in;
      wire [PAIRS*WIDTH-1:0] out;
      if (l == 0) assign in = values;
      else assign in = level[l-1].out;
      for (i = 0; i < PAIRS; i = i + 1) begin : pair
        wire [WIDTH-1:0] a = in[2*i*WIDTH+:WIDTH];
        wire [WIDTH-1:0] b = in[(2*i+1)*WIDTH+:WIDTH];
        assign out[i*WIDTH+:WIDTH] = a > b ? a : b;
      end
    end
  endgenerate
  assign most = level[LEVELS-1].out;
endmodule

// The largest of the peaks of a vector's blocks, and each block's payload, BLOCKS cycles after the block came.
module vector_maximum #(
    parameter BLOCKS = 1,
    parameter WIDTH = 12,
    parameter PAYLOAD = 16
) (
    input clock,
    input first,
    input last,
    input [WIDTH-1:0] peak,
    input [PAYLOAD-1:0] payload,
    output [WIDTH-1:0] final_peak,
    output [PAYLOAD-1:0] held
);
  delay #(.WIDTH(PAYLOAD), .CYCLES(BLOCKS)) payload_register (.clock(clock), .in(payload), .out(held));

  genvar i;
  generate
    if (BLOCKS == 1) begin : alone
      delay #(.WIDTH(WIDTH)) peak_register (.clock(clock), .in(peak), .out(final_peak));
    end else begin : several
      // The peak of each block that waits; while its vector is open, it follows the running maximum.
      reg [BLOCKS*WIDTH-1:0] peaks;
      reg [BLOCKS-1:0] open;
      wire [WIDTH-1:0] so_far = peaks[WIDTH-1:0];
      wire [WIDTH-1:0] running = first || peak > so_far ? peak : so_far;
      always @(posedge clock) begin
        peaks[WIDTH-1:0] <= running;
        open[0] <= !last;
      end
      for (i = 1; i < BLOCKS; i = i + 1) begin : slot
        always @(posedge clock) begin
          peaks[i*WIDTH+:WIDTH] <= open[i-1] && !first ? running : peaks[(i-1)*WIDTH+:WIDTH];
          open[i] <= open[i-1] && !last && !first;
        end
      end
      assign final_peak = peaks[BLOCKS*WIDTH-1-:WIDTH];
    end
  endgenerate
endmodule
