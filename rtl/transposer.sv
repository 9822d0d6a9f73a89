// Results of pixels, a block of LANES channels a clock, to vectors along pixels (docs/isa.md, PPU): of V pixels of a block, which
// come one after the other, to V of each of its channels. `start` marks the first of them; `absent` ones are 0.
//
// V clocks behind a group's first pixel it begins to leave, as many clocks long as it came: LANES / V whole channels a clock, or
// V / LANES clocks for each one, of which `first` and `last` mark the ends. The next group comes at once, while this one leaves,
// or when it has left.
module transposer #(
    parameter LANES = 16,
    parameter V = 16
) (
    input clock,
    input reset,
    input valid,
    input start,
    input absent,
    input [LANES*32-1:0] y,
    output reg [LANES*32-1:0] turned,
    output reg first,
    output reg last
);
  localparam PLACE = $clog2(V);
  localparam PARTS = V > LANES ? V / LANES : 1;  // clocks of a channel
  localparam [PLACE-1:0] LAST_PART = PARTS[PLACE-1:0] - 1'b1;
  localparam WHOLE = LANES > V ? LANES / V : 1;  // channels of a clock

  // Two groups of pixels, of which one is filled. What comes goes to `place`, and what leaves behind the next edge is step
  // `place` + 1 of the group that is whole, or the first step of the one that becomes whole with this pixel.
  reg [V*LANES*32-1:0] even, odd;
  reg [PLACE-1:0] next_place;
  reg fills_odd;
  wire [PLACE-1:0] place = valid & start ? {PLACE{1'b0}} : next_place;
  wire [PLACE-1:0] step = place + 1'b1;
  wire ends = &place;
  wire [LANES*32-1:0] pixel = y & {LANES * 32{~absent}};
  wire leaves_odd = fills_odd ^ ~ends;

  always @(posedge clock) begin
    next_place <= step;
    fills_odd <= ~reset & (fills_odd ^ (valid & ends));
    first <= (step & LAST_PART) == 0;
    last <= (step & LAST_PART) == LAST_PART;
  end

  genvar p, i, k;
  generate
    for (p = 0; p < V; p = p + 1) begin : of_pixel
      wire [LANES*32-1:0] own_even = even[p*LANES*32+:LANES*32];
      wire [LANES*32-1:0] own_odd = odd[p*LANES*32+:LANES*32];
      wire writes = valid & place == p;
      always @(posedge clock) begin
        if (writes & ~fills_odd) even[p*LANES*32+:LANES*32] <= pixel;
        if (writes & fills_odd) odd[p*LANES*32+:LANES*32] <= pixel;
      end
      wire [LANES*32-1:0] whole;
      // The last pixel of a group is not held yet when its first step is chosen.
      if (p == V - 1) assign whole = ends ? pixel : leaves_odd ? own_odd : own_even;
      else assign whole = leaves_odd ? own_odd : own_even;
    end

    // A lane of what leaves is of one pixel, or of one in each part, and of another channel in each step.
    for (i = 0; i < LANES; i = i + 1) begin : lane
      wire [V*32-1:0] choices;
      for (k = 0; k < V; k = k + 1) begin : of_step
        assign choices[32*k+:32] =
            of_pixel[k%PARTS*LANES%V+i%V].whole[32*(k/PARTS*WHOLE+i/V)+:32];
      end
      always @(posedge clock) turned[32*i+:32] <= choices[32*step+:32];
    end
  endgenerate
endmodule
