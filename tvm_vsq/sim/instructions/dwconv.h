// DWCONV: depthwise convolution on the array, whose output lanes each take their own channel of a window.
#ifndef TVM_VSQ_SIM_INSTRUCTIONS_DWCONV_H_
#define TVM_VSQ_SIM_INSTRUCTIONS_DWCONV_H_

#include <algorithm>
#include <memory>

#include "tvm_vsq/sim/declaration.h"
#include "tvm_vsq/sim/digits.h"
#include "tvm_vsq/sim/execution.h"
#include "tvm_vsq/sim/plan.h"

namespace tvm_vsq::sim {

template <>
struct Declared<isa::Dwconv> : Defaults<isa::Dwconv> {
  static constexpr bool kMicroOps = true;
  static constexpr bool kBounds = true;

  // A micro-op is on a channel group: the larger of a vector and an accumulator entry.
  static uint32_t Blocks(const Params& params) {
    return static_cast<uint32_t>(std::max<int64_t>(1, params.vector_size / params.output_lanes));
  }
  static uint32_t Blocks(const Params& params, const isa::Dwconv& conv) {
    return Blocks(params) - conv.skip_blocks;
  }
  static uint32_t Vectors(const Params& params) {
    return static_cast<uint32_t>(std::max<int64_t>(1, params.output_lanes / params.vector_size));
  }
  static uint32_t TapCount(const isa::Dwconv& conv) { return conv.tap_rows * conv.tap_columns; }
  // How often weight vectors begin anew, and how many taps they then hold one after the other.
  static uint32_t Runs(const isa::Dwconv& conv) { return conv.row_vectors ? conv.tap_rows : 1; }
  static uint32_t RunTaps(const isa::Dwconv& conv) { return TapCount(conv) / Runs(conv); }
  // Weight entries of a run, and of a block.
  static uint32_t RunEntries(const Params& params, const isa::Dwconv& conv) {
    const auto size = static_cast<uint32_t>(params.vector_size);
    return (RunTaps(conv) + size - 1) / size;
  }
  static uint32_t Entries(const Params& params, const isa::Dwconv& conv) {
    return Runs(conv) * RunEntries(params, conv);
  }

  static MicroOpLoops Loops(const Params& params, const isa::Dwconv& conv) {
    MicroOpLoops loops{conv.uop_begin, {conv.uop_count, conv.iter_out, conv.iter_in}};
    const uint32_t blocks = Blocks(params, conv);
    const Use use = conv.accumulate ? Use::kAccumulate : Use::kFill;
    loops.Add(Pad::kAcc, use, &isa::Uop::acc, conv.acc_out, conv.acc_in, blocks);
    const uint64_t entered = static_cast<uint64_t>(Positions(params, conv)) * Vectors(params);
    loops.Add({Pad::kInp, Use::kRead, &isa::Uop::inp, conv.inp_out, conv.inp_in, loops.nest, entered,
               Vectors(params), Taps{conv.tap_rows, conv.tap_columns, conv.row_step, conv.column_step}});
    loops.Add(Pad::kWgt, Use::kRead, &isa::Uop::wgt, conv.wgt_out, conv.wgt_in,
              blocks * Entries(params, conv));
    return loops;
  }

  template <typename Fail>
  static void Check(const Params& params, const isa::Dwconv& conv, Fail fail) {
    if (conv.skip_blocks >= Blocks(params))
      fail("field skip_blocks is ", conv.skip_blocks, " of the ", Blocks(params),
           " blocks of a channel group");
    if (TapCount(conv) > params.window_taps)
      fail("fields tap_rows and tap_columns ask for ", TapCount(conv), " taps; the window has ",
           params.window_taps);
    CheckUnsignedWeights(params, conv.wgt_unsigned, fail);
  }

  // How many places further the window is after a step of a loop, along rows or columns that lie `step`
  // apart; all `taps` of them where it shares none with the place before.
  static int64_t Moved(uint32_t loop, uint32_t step, uint32_t taps) {
    const bool shares = step > 0 && loop % step == 0 && loop / step < taps;
    return shares ? loop / step : taps;
  }

  // Places of the input that enter the window: those that it does not hold from the column before. It is as
  // many output rows high as its registers hold the input rows of.
  static int64_t Positions(const Params& params, const isa::Dwconv& conv) {
    const int64_t rows = conv.tap_rows, columns = conv.tap_columns, all = conv.iter_out;
    const int64_t down = Moved(conv.inp_out, conv.row_step, conv.tap_rows);
    const int64_t across = Moved(conv.inp_in, conv.column_step, conv.tap_columns);
    const int64_t room = params.window_taps / columns - rows;  // input rows beside those of one output row
    const int64_t high = std::clamp<int64_t>(1 + (down > 0 ? room / down : 0), 1, all);
    const int64_t bands = (all + high - 1) / high;
    const int64_t input_rows = (all - bands) * down + bands * rows;
    return int64_t{conv.uop_count} * input_rows * (columns + (int64_t{conv.iter_in} - 1) * across);
  }

  // Operands as wide as the array's multipliers that make up an element times its scale.
  static int64_t Slices(const Params& params) {
    const int64_t bits = params.activation_bits + params.activation_scale_bits;
    return (bits + params.activation_bits - 1) / params.activation_bits;
  }

  // Micro-ops through the array: a vector of weights takes a pass for every vector_size slices of its taps.
  static int64_t Passes(const Params& params, const isa::Dwconv& conv) {
    const int64_t size = params.vector_size, taps = RunTaps(conv), slices = Slices(params);
    const int64_t whole = taps / size, rest = taps % size;
    const int64_t passes = whole * slices + (rest * slices + size - 1) / size;
    return static_cast<int64_t>(Visits(conv) * Blocks(params, conv)) * Runs(conv) * passes;
  }

  // Each accumulator is written once: which sum stayed would be a matter of order.
  template <typename Fail>
  static void CheckPlan(const Params& params, const isa::Dwconv& conv, const MicroOpPlan& plan, Fail fail) {
    uint64_t entries = 0;
    for (const MicroOpPlan::Range& range : plan.touched[0]) entries += range.entries;
    const uint64_t writes = Visits(conv) * Blocks(params, conv);
    if (entries < writes)
      fail("writes ", entries, " acc entries ", writes, " times; each must be written once");
  }

  static std::unique_ptr<const MicroOpPlan> MakePlan(const Params& params, const isa::Dwconv& conv,
                                                     const isa::Uop* uops);

  static uint64_t Visits(const isa::Dwconv& conv) {
    return Nest{conv.uop_count, conv.iter_out, conv.iter_in}.Visits();
  }

  // A place enters the window in each cycle, while the array is at the places before.
  static int64_t Cycles(const Params& params, const isa::Dwconv& conv) {
    return params.gemm_pipeline_cycles + std::max(Positions(params, conv), Passes(params, conv));
  }

  // Neighbouring vectors lie in different banks, each of which serves one a cycle.
  static int64_t ConflictCycles(const Params& params, const isa::Dwconv& conv) {
    const int64_t turns = (Vectors(params) + params.inp_banks - 1) / params.inp_banks;
    const int64_t positions = Positions(params, conv), passes = Passes(params, conv);
    return std::max(positions * turns, passes) - std::max(positions, passes);
  }

  template <typename Count>
  static void Events(const Params& params, const isa::Dwconv& conv, Count count) {
    const int64_t lanes = static_cast<int64_t>(Visits(conv) * Blocks(params, conv)) * params.output_lanes;
    count(isa::Event::kWindowMacs, lanes * TapCount(conv));
    count(isa::Event::kWindowLanes,
          Positions(params, conv) * std::max(params.vector_size, params.output_lanes));
    if (params.weight_scale_bits > 0) count(isa::Event::kScaleMacs, lanes * Entries(params, conv));
    if (conv.shift > 0) count(isa::Event::kShiftLaneOps, Passes(params, conv) * params.output_lanes);
  }

  // Whether no accumulator can leave accumulator_bits.
  static bool Bound(const Params& params, const isa::Dwconv& conv, const MicroOpPlan* plan,
                    AccumulatorBounds* bounds);
};

// Throws Error for an accumulator overflow.
void Execute(const isa::Dwconv& conv, const Execution& execution);

}  // namespace tvm_vsq::sim

#endif  // TVM_VSQ_SIM_INSTRUCTIONS_DWCONV_H_
