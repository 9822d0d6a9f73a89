#include "tvm_vsq/sim/cost.h"

#include <algorithm>

#include "tvm_vsq/sim/declarations.h"

namespace tvm_vsq::sim {
namespace {

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

Divider::Divider(uint64_t divisor) : divisor_(divisor) {
  for (int shift = 0; shift < 64; ++shift) {
    if (uint64_t{1} << shift == divisor) shift_ = shift;
  }
}

CostModel::CostModel(const Params& params)
    : params_(params),
      burst_of_(static_cast<uint64_t>(params.dram_burst_bytes)),
      row_of_(static_cast<uint64_t>(params.dram_row_bytes)) {
  for (int pad = 0; pad < kPadCount; ++pad) entry_bits_[pad] = params.EntryBits(static_cast<Pad>(pad));
}

// A piece that begins in the row where the one before it ended, or in the next row, finds it open: the next
// row lies in another bank, which was opened meanwhile.
void CostModel::AddTransfer(const Transfer& transfer, Cost* cost) const {
  uint64_t bursts = 0, rows = 0, open = 0;
  ForEachPiece(params_, transfer, [&](uint64_t begin, uint64_t bytes) {
    const uint64_t last = begin + bytes - 1;
    bursts += burst_of_(last) - burst_of_(begin) + 1;
    const uint64_t row = row_of_(begin);
    if (rows == 0 || row < open || row > open + 1) ++rows;
    open = row_of_(last);
  });
  cost->bursts = static_cast<int64_t>(bursts);
  cost->row_cycles = static_cast<int64_t>(rows) * params_.dram_row_miss_cycles;
}

Cost CostModel::CostOf(const Instruction& instruction) const {
  Cost cost;
  WithDeclaration(instruction, [&](const auto& insn, auto declared) {
    cost.transfers = decltype(declared)::kTransfers;
    if constexpr (decltype(declared)::kTransfers) {
      cost.cycles = params_.dma_setup_cycles;
      AddTransfer(declared.DramSide(insn), &cost);
      declared.Accesses(params_, insn, [&](const Access& access) {
        const int64_t cycles = CeilDiv(static_cast<int64_t>(access.visits), params_.Banks(access.pad));
        cost.bank_cycles = std::max(cost.bank_cycles, cycles);
      });
    } else {
      cost.cycles = declared.Cycles(params_, insn);
      cost.conflict_cycles = declared.ConflictCycles(params_, insn);
    }
  });
  return cost;
}

void CostModel::AddEvents(const Instruction& instruction, int64_t bursts, EventCounts* counts) const {
  const auto count = [&](isa::Event event, int64_t n) { (*counts)[static_cast<size_t>(event)] += n; };
  const auto touch = [&](Pad pad, Use use, uint64_t visits) {
    const auto index = static_cast<size_t>(pad);
    const int64_t bits = static_cast<int64_t>(visits) * entry_bits_[index];
    if (Reads(use)) count(isa::kReadBits[index], bits);
    if (Writes(use)) count(isa::kWriteBits[index], bits);
  };
  count(isa::Event::kInstructions, 1);
  count(isa::Event::kDramReadBytes, isa::kInstructionBytes);
  ForEachAccess(params_, instruction,
                [&](const Access& access) { touch(access.pad, access.use, access.visits); });
  WithDeclaration(instruction, [&](const auto& insn, auto declared) {
    declared.Events(params_, insn, count);
    if constexpr (decltype(declared)::kMicroOps) {
      for (const IndexedAccess& access : declared.Loops(params_, insn))
        touch(access.pad, access.use, access.visits);
    }
    if constexpr (decltype(declared)::kTransfers) {
      const bool writes = declared.DramSide(insn).writes_dram;
      count(writes ? isa::Event::kDramWriteBytes : isa::Event::kDramReadBytes,
            bursts * params_.dram_burst_bytes);
    }
  });
}

}  // namespace tvm_vsq::sim
