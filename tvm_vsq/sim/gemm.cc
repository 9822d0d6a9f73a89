#include "tvm_vsq/sim/gemm.h"

#include <algorithm>
#include <vector>

#include "tvm_vsq/sim/gemm_checked.h"
#include "tvm_vsq/sim/instructions/gemm.h"
#include "tvm_vsq/sim/poll.h"
#include "tvm_vsq/sim/thread_pool.h"
#include "tvm_vsq/sim/weights.h"

namespace tvm_vsq::sim {
namespace {

constexpr size_t kBlockPixels = 8;  // the unit of work; the kernels like no smaller one
// Between two polls: milliseconds, and tens of them without vector instructions.
constexpr uint64_t kRoundMacs = uint64_t{1} << 27;
constexpr size_t kRoundSteps = size_t{1} << 14;  // of a block, which no round divides
constexpr size_t kRoundUops = size_t{1} << 12;
constexpr uint64_t kMacsOfWork = 512;  // that the kernels do in a step of CountWork
// What a thread takes at a time: microseconds. Another core has none of the operands in its caches, so that
// sharing pays only for many times as much.
constexpr uint64_t kPartMacs = uint64_t{1} << 19, kSharedMacs = 8 * kPartMacs;

size_t Blocks(const GemmPlan::Tile& tile) { return (tile.pixels + kBlockPixels - 1) / kBlockPixels; }

// Runs kRoundSteps steps, from `first_step` on, of the blocks [begin, end) of a plan, counted through all
// tiles.
void RunBlocks(const GemmKernel& kernel, const GemmFormat& format, const GemmOperands& operands,
               const GemmPlan& plan, size_t first_step, size_t begin, size_t end) {
  size_t first = 0;  // block of the tile
  for (const GemmPlan::Tile& tile : plan.tiles) {
    const size_t blocks = Blocks(tile);
    const size_t from = std::max(begin, first), to = std::min(end, first + blocks);
    if (from < to && first_step < tile.steps) {
      GemmPlan::Tile part = tile;
      part.first_step += first_step;
      part.steps = std::min(kRoundSteps, tile.steps - first_step);
      kernel.run(format, operands, plan, part, (from - first) * kBlockPixels,
                 std::min(tile.pixels, (to - first) * kBlockPixels));
    }
    first += blocks;
    if (first >= end) return;
  }
}

// In between, unsigned numbers may wrap: the sums fit.
void AddShifted(const std::vector<int32_t>& sums, uint32_t shift, std::vector<int32_t>* acc) {
  CountWork(sums.size() / 8);
  for (size_t i = 0; i < sums.size(); ++i)
    (*acc)[i] =
        static_cast<int32_t>(static_cast<uint32_t>((*acc)[i]) + (static_cast<uint32_t>(sums[i]) << shift));
}

}  // namespace

GemmOperands GemmUnit::Operands(const isa::Gemm& gemm, const GemmPlan& plan, Scratchpads* pads) const {
  const MicroOpLoops loops = Declared<isa::Gemm>::Loops(params_, gemm);
  const WeightElements weights = ElementsOfWeights(params_, loops, plan, gemm.wgt_unsigned, pads);
  GemmOperands operands{};
  operands.inp = gemm.act_unsigned ? pads->inp_code.data() : pads->inp_biased.data();
  operands.inp_scale = pads->inp_scale.data();
  operands.wgt = weights.elements;
  operands.wgt_scale = pads->wgt_scale.data();
  operands.wgt_sum = weights.sums;
  operands.acc = pads->acc32.data();
  return operands;
}

void GemmUnit::Clear(const MicroOpPlan::Ranges& entries, Scratchpads* pads) const {
  if (pads->acc64.empty()) {
    Clear(entries, pads->acc32.data());
  } else {
    Clear(entries, pads->acc64.data());
  }
}

template <typename Acc>
void GemmUnit::Clear(const MicroOpPlan::Ranges& entries, Acc* acc) const {
  const auto lanes = static_cast<size_t>(params_.output_lanes);
  for (const MicroOpPlan::Range& range : entries) {
    CountWork(1 + range.entries * lanes / 16);
    std::fill_n(acc + range.begin * lanes, range.entries * lanes, Acc{0});
  }
}

void GemmUnit::ExecuteSafe(const isa::Gemm& gemm, const GemmPlan& plan, int threads,
                           Scratchpads* pads) const {
  const GemmFormat format(params_, gemm);
  const GemmKernel& kernel = SelectGemmKernel(format.output_lanes);
  GemmOperands operands = Operands(gemm, plan, pads);
  // The kernels add up; what they add to nothing is shifted once, in the end.
  std::vector<int32_t> sums(gemm.shift > 0 ? pads->acc32.size() : 0);
  if (gemm.shift > 0) operands.acc = sums.data();
  size_t blocks = 0, steps = 0;
  for (const GemmPlan::Tile& tile : plan.tiles) {
    blocks += Blocks(tile);
    steps = std::max(steps, tile.steps);
  }
  const uint64_t macs =
      Declared<isa::Gemm>::Visits(gemm) * MacsOfUop() / ((steps - 1) / kRoundSteps + 1);  // of so many steps
  const size_t rounds = std::min<uint64_t>(blocks, macs / kRoundMacs + 1);
  const bool shared = threads > 1 && macs / rounds >= kSharedMacs;
  const auto parts = shared ? std::min<size_t>(blocks, macs / rounds / kPartMacs) : size_t{1};
  for (size_t step = 0; step < steps; step += kRoundSteps) {
    for (size_t round = 0; round < rounds; ++round) {
      const size_t begin = blocks * round / rounds, count = blocks * (round + 1) / rounds - begin;
      RunParallel(static_cast<size_t>(threads), parts, [&](size_t part) {
        RunBlocks(kernel, format, operands, plan, step, begin + count * part / parts,
                  begin + count * (part + 1) / parts);
      });
      CountWork(macs / rounds / kMacsOfWork);
    }
  }
  if (gemm.shift > 0) AddShifted(sums, gemm.shift, &pads->acc32);
}

void GemmUnit::ExecuteChecked(const Program& program, size_t index, const GemmPlan& plan,
                              Scratchpads* pads) const {
  if (pads->acc64.empty()) {
    ExecuteChecked(program, index, plan, pads->acc32.data(), pads);
  } else {
    ExecuteChecked(program, index, plan, pads->acc64.data(), pads);
  }
}

template <typename Acc>
void GemmUnit::ExecuteChecked(const Program& program, size_t index, const GemmPlan& plan, Acc* acc,
                              Scratchpads* pads) const {
  const auto& gemm = std::get<isa::Gemm>(program.instructions[index].body);
  const GemmFormat format(params_, gemm);
  const GemmOperands operands = Operands(gemm, plan, pads);
  const size_t uops = plan.uops.size();
  GemmIteration iteration{};
  iteration.shift = static_cast<int>(gemm.shift);
  for (size_t o = 0; o < gemm.iter_out; ++o) {
    for (size_t i = 0; i < gemm.iter_in; ++i) {
      iteration.acc = o * gemm.acc_out + i * gemm.acc_in;
      iteration.inp = o * gemm.inp_out + i * gemm.inp_in;
      iteration.wgt = o * gemm.wgt_out + i * gemm.wgt_in;
      for (size_t first = 0; first < uops; first += kRoundUops) {
        iteration.uops = &plan.uops[first];
        iteration.count = std::min(kRoundUops, uops - first);
        const size_t done =
            RunChecked(format, operands, iteration, static_cast<int>(params_.accumulator_bits), acc);
        CountWork(iteration.count * MacsOfUop());
        if (done == iteration.count) continue;
        program.FailAt(index, "accumulator overflow: micro-op ", gemm.uop_begin + first + done,
                       " at outer iteration ", o, ", inner ", i, " brings acc entry ",
                       plan.uops[first + done].acc + iteration.acc, " outside ", params_.accumulator_bits,
                       " bits");
      }
    }
  }
}

}  // namespace tvm_vsq::sim
