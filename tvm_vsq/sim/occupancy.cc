#include "tvm_vsq/sim/occupancy.h"

#include "tvm_vsq/sim/poll.h"

#include <algorithm>

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

  void Visit(size_t index, const Instruction& instruction, const GemmPlan* plan) {
    if (const auto* dma = std::get_if<Dma>(&instruction.body)) {
      const bool store = instruction.opcode == isa::Opcode::kStore;
      store ? Use(index, dma->pad, dma->sram_base, dma->SramEntries())
            : Fill(index, dma->pad, dma->sram_base, dma->SramEntries());
    } else if (const auto* gemm = std::get_if<Gemm>(&instruction.body)) {
      Use(index, Pad::kUop, gemm->uop_begin, gemm->uop_count);
      for (const GemmPlan::Range& range : plan->inp) Use(index, Pad::kInp, range.begin, range.entries);
      for (const GemmPlan::Range& range : plan->wgt) Use(index, Pad::kWgt, range.begin, range.entries);
      for (const GemmPlan::Range& range : plan->acc) {
        gemm->reset ? Fill(index, Pad::kAcc, range.begin, range.entries)
                    : Use(index, Pad::kAcc, range.begin, range.entries);
      }
    } else if (const auto* ppu = std::get_if<Ppu>(&instruction.body)) {
      const uint64_t vectors = ppu->AccEntries() * static_cast<uint64_t>(params_.output_lanes) /
                               static_cast<uint64_t>(params_.vector_size);
      Use(index, Pad::kAcc, ppu->acc_base, ppu->AccEntries());
      Use(index, Pad::kPar, ppu->par_base, ppu->blocks);
      if (ppu->residual) Use(index, Pad::kInp, ppu->res_base, vectors);
      if (!ppu->wide) Fill(index, Pad::kOut, ppu->out_base, vectors);
    }
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

  void Use(size_t index, Pad pad, uint64_t begin, uint64_t count) {
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
    occupancy.Visit(i, program.instructions[i], prepared.gemms[i].plan);
  }
  return occupancy.Finish();
}

}  // namespace tvm_vsq::sim
