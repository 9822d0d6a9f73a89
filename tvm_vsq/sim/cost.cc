#include "tvm_vsq/sim/cost.h"

#include <algorithm>

#include "tvm_vsq/sim/dma.h"

namespace tvm_vsq::sim {
namespace {

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

int64_t& At(EventCounts* counts, isa::Event event) { return (*counts)[static_cast<size_t>(event)]; }

isa::Event ReadBits(Pad pad) {
  return static_cast<isa::Event>(static_cast<int>(isa::Event::kUopReadBits) + 2 * static_cast<int>(pad));
}

isa::Event WriteBits(Pad pad) {
  return static_cast<isa::Event>(static_cast<int>(isa::Event::kUopWriteBits) + 2 * static_cast<int>(pad));
}

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
DmaCost CostModel::CostOf(const Dma& dma) const {
  uint64_t bursts = 0, rows = 0, open = 0;
  ForEachPiece(params_, dma, [&](uint64_t begin, uint64_t bytes) {
    const uint64_t last = begin + bytes - 1;
    bursts += burst_of_(last) - burst_of_(begin) + 1;
    const uint64_t row = row_of_(begin);
    if (rows == 0 || row < open || row > open + 1) ++rows;
    open = row_of_(last);
  });
  DmaCost cost;
  cost.bursts = static_cast<int64_t>(bursts);
  cost.row_cycles = static_cast<int64_t>(rows) * params_.dram_row_miss_cycles;
  cost.bank_cycles = CeilDiv(static_cast<int64_t>(dma.SramEntries()), params_.Banks(dma.pad));
  return cost;
}

int64_t CostModel::ComputeCycles(const Instruction& instruction) const {
  if (const auto* gemm = std::get_if<Gemm>(&instruction.body)) {
    return params_.gemm_pipeline_cycles + static_cast<int64_t>(gemm->MicroOps());
  }
  if (const auto* ppu = std::get_if<Ppu>(&instruction.body)) {
    return params_.ppu_pipeline_cycles + static_cast<int64_t>(ppu->AccEntries());
  }
  return 1;
}

// The PPU takes one accumulator block per cycle, hence output_lanes / vector_size vectors of out and, with a
// residual, of inp. Neighbouring entries lie in different banks, each of which serves one entry per cycle.
int64_t CostModel::ConflictCycles(const Instruction& instruction) const {
  const auto* ppu = std::get_if<Ppu>(&instruction.body);
  if (ppu == nullptr) return 0;
  const int64_t vectors = std::max<int64_t>(1, params_.output_lanes / params_.vector_size);
  const int64_t reads = ppu->residual ? CeilDiv(vectors, params_.inp_banks) : 1;
  const int64_t writes = ppu->wide ? 1 : CeilDiv(vectors, params_.out_banks);
  return static_cast<int64_t>(ppu->AccEntries()) * (std::max(reads, writes) - 1);
}

void CostModel::AddEvents(const Instruction& instruction, int64_t bursts, EventCounts* counts) const {
  At(counts, isa::Event::kInstructions) += 1;
  At(counts, isa::Event::kDramReadBytes) += isa::kInstructionBytes;
  if (const auto* dma = std::get_if<Dma>(&instruction.body)) {
    AddDma(*dma, instruction.opcode == isa::Opcode::kStore, bursts, counts);
  } else if (const auto* gemm = std::get_if<Gemm>(&instruction.body)) {
    AddGemm(*gemm, counts);
  } else if (const auto* ppu = std::get_if<Ppu>(&instruction.body)) {
    AddPpu(*ppu, counts);
  }
}

void CostModel::AddDma(const Dma& dma, bool store, int64_t bursts, EventCounts* counts) const {
  const int64_t bits = static_cast<int64_t>(dma.SramEntries()) * entry_bits_[static_cast<int>(dma.pad)];
  At(counts, store ? ReadBits(dma.pad) : WriteBits(dma.pad)) += bits;
  At(counts, store ? isa::Event::kDramWriteBytes : isa::Event::kDramReadBytes) +=
      bursts * params_.dram_burst_bytes;
}

void CostModel::AddGemm(const Gemm& gemm, EventCounts* counts) const {
  const auto ops = static_cast<int64_t>(gemm.MicroOps());
  const auto bits = [&](Pad pad) { return ops * entry_bits_[static_cast<int>(pad)]; };
  At(counts, isa::Event::kUopReadBits) += bits(Pad::kUop);
  At(counts, isa::Event::kAccWriteBits) += bits(Pad::kAcc);
  if (gemm.reset) return;
  At(counts, isa::Event::kAccReadBits) += bits(Pad::kAcc);
  At(counts, isa::Event::kInpReadBits) += bits(Pad::kInp);
  At(counts, isa::Event::kWgtReadBits) += bits(Pad::kWgt);
  const int64_t lanes = ops * params_.output_lanes;
  const bool weight_scales = params_.weight_scale_bits > 0, act_scales = params_.activation_scale_bits > 0;
  At(counts, isa::Event::kMacs) += lanes * params_.vector_size;
  // With scales on one side only, that scale is the factor: nothing multiplies two scales.
  if (weight_scales && act_scales) At(counts, isa::Event::kScaleProducts) += lanes;
  if (weight_scales || act_scales) At(counts, isa::Event::kScaleMacs) += lanes;
}

void CostModel::AddPpu(const Ppu& ppu, EventCounts* counts) const {
  const auto entries = static_cast<int64_t>(ppu.AccEntries());
  const auto bits = [&](Pad pad, int64_t count) { return count * entry_bits_[static_cast<int>(pad)]; };
  const int64_t lanes = entries * params_.output_lanes;
  const int64_t vectors = lanes / params_.vector_size;
  At(counts, isa::Event::kPpuLaneOps) += lanes;
  At(counts, isa::Event::kAccReadBits) += bits(Pad::kAcc, entries);
  At(counts, isa::Event::kParReadBits) += bits(Pad::kPar, entries);
  if (ppu.residual) At(counts, isa::Event::kInpReadBits) += bits(Pad::kInp, vectors);
  if (ppu.wide) {
    At(counts, isa::Event::kAccWriteBits) += bits(Pad::kAcc, entries);
  } else {
    At(counts, isa::Event::kQuantizeLaneOps) += lanes;
    At(counts, isa::Event::kOutWriteBits) += bits(Pad::kOut, vectors);
  }
}

}  // namespace tvm_vsq::sim
