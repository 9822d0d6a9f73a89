#include "tvm_vsq/sim/occupancy.h"

#include <algorithm>

#include "tvm_vsq/sim/declarations.h"
#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::sim {
namespace {

class Occupancy {
 public:
  Occupancy(const Params& params, const std::vector<InstructionTimes>& times, int64_t bin_cycles, size_t bins)
      : params_(params), times_(times), bin_cycles_(bin_cycles), alive_(bins), steps_(bins + 1) {
    for (size_t pad = 0; pad < kPadCount; ++pad) {
      entries_[pad].resize(static_cast<size_t>(params.Depth(static_cast<Pad>(pad))));
    }
  }

  void Visit(size_t index, const Instruction& instruction, const MicroOpPlan* plan) {
    ForEachTouched(params_, instruction, plan, [&](Pad pad, Use use, uint64_t begin, uint64_t count) {
      use == Use::kFill ? Fill(index, pad, begin, count) : Touch(index, pad, begin, count);
    });
  }

  std::vector<PadCounts> Finish() {
    for (size_t pad = 0; pad < kPadCount; ++pad) {
      CountWork(4 * (entries_[pad].size() + alive_.size()));
      for (const Entry& entry : entries_[pad]) Close(pad, entry);
      int64_t whole = 0;
      for (size_t bin = 0; bin < alive_.size(); ++bin) {
        whole += steps_[bin][pad];
        alive_[bin][pad] += whole * bin_cycles_;
      }
    }
    return std::move(alive_);
  }

 private:
  struct Entry {
    int64_t begin = -1, end = 0;  // cycles; begin < 0: never filled
  };

  void Fill(size_t index, Pad pad, uint64_t begin, uint64_t count) {
    CountWork(4 * count);
    const InstructionTimes& t = times_[index];
    for (uint64_t i = begin; i < begin + count; ++i) {
      Entry& entry = entries_[static_cast<size_t>(pad)][i];
      Close(static_cast<size_t>(pad), entry);
      entry = {t.transfer, t.end};
    }
  }

  void Touch(size_t index, Pad pad, uint64_t begin, uint64_t count) {
    CountWork(count);
    for (uint64_t i = begin; i < begin + count; ++i) {
      Entry& entry = entries_[static_cast<size_t>(pad)][i];
      entry.end = std::max(entry.end, times_[index].end);
    }
  }

  // Adds the cycles of one life: parts of the first and the last bin, and whole bins between them.
  void Close(size_t pad, const Entry& entry) {
    if (entry.begin < 0 || entry.end <= entry.begin) return;
    const auto first = static_cast<size_t>(entry.begin / bin_cycles_);
    const auto last = static_cast<size_t>((entry.end - 1) / bin_cycles_);
    if (first == last) {
      alive_[first][pad] += entry.end - entry.begin;
      return;
    }
    alive_[first][pad] += static_cast<int64_t>(first + 1) * bin_cycles_ - entry.begin;
    alive_[last][pad] += entry.end - static_cast<int64_t>(last) * bin_cycles_;
    steps_[first + 1][pad] += 1;
    steps_[last][pad] -= 1;
  }

  const Params& params_;
  const std::vector<InstructionTimes>& times_;
  const int64_t bin_cycles_;
  std::array<std::vector<Entry>, kPadCount> entries_;
  std::vector<PadCounts> alive_;
  std::vector<PadCounts>
      steps_;  // how many more entries are alive throughout this bin than throughout the one before
};

}  // namespace

std::vector<PadCounts> AliveCycles(const Params& params, const Program& program,
                                   const PreparedProgram& prepared,
                                   const std::vector<InstructionTimes>& times, int64_t bin_cycles,
                                   size_t bins) {
  Occupancy occupancy(params, times, bin_cycles, bins);
  for (size_t i = 0; i < program.instructions.size(); ++i) {
    CountWork(8);
    occupancy.Visit(i, program.instructions[i], prepared.planned[i].plan);
  }
  return occupancy.Finish();
}

}  // namespace tvm_vsq::sim
