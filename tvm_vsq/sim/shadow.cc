#include "tvm_vsq/sim/shadow.h"

#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::sim {
namespace {

Engine WriterOf(Pad pad) { return pad == Pad::kAcc || pad == Pad::kOut ? Engine::kCompute : Engine::kLoad; }
Engine ReaderOf(Pad pad) { return pad == Pad::kAcc || pad == Pad::kOut ? Engine::kStore : Engine::kCompute; }

}  // namespace

Shadow::Shadow(const Params& params, const Program& program) : program_(program) {
  for (int pad = 0; pad < kPadCount; ++pad) {
    entries_[static_cast<size_t>(pad)].resize(static_cast<size_t>(params.Depth(static_cast<Pad>(pad))));
  }
}

void Shadow::ReadEntry(const Order& order, size_t index, Pad pad, uint64_t entry) {
  Entry& state = entries_[static_cast<size_t>(pad)][entry];
  const Engine self = program_.instructions[index].engine();
  if (state.writer == 0) {
    program_.FailAt(index, "reads entry ", entry, " of scratchpad ", PadName(pad),
                    ", which nothing has written");
  }
  if (self == WriterOf(pad)) return;  // acc, read by compute: in order with its writer
  if (state.writer > order.CompleteBefore(WriterOf(pad))) Race(index, pad, entry, "reads", state.writer);
  state.reader = static_cast<uint32_t>(index + 1);
}

void Shadow::WriteEntry(const Order& order, size_t index, Pad pad, uint64_t entry) {
  Entry& state = entries_[static_cast<size_t>(pad)][entry];
  if (state.reader > order.CompleteBefore(ReaderOf(pad))) Race(index, pad, entry, "overwrites", state.reader);
  state.writer = static_cast<uint32_t>(index + 1);
}

void Shadow::Race(size_t index, Pad pad, uint64_t entry, const char* verb, uint32_t other) const {
  program_.FailAt(index, "race: ", verb, " entry ", entry, " of scratchpad ", PadName(pad),
                  ", but no token orders it ", "behind ", program_.Where(other - 1));
}

void Shadow::Read(const Order& order, size_t index, Pad pad, uint64_t begin, uint64_t count) {
  CountWork(count);
  for (uint64_t entry = begin; entry < begin + count; ++entry) ReadEntry(order, index, pad, entry);
}

void Shadow::Write(const Order& order, size_t index, Pad pad, uint64_t begin, uint64_t count) {
  CountWork(count);
  for (uint64_t entry = begin; entry < begin + count; ++entry) WriteEntry(order, index, pad, entry);
}

void Shadow::VisitDma(const Order& order, size_t index) {
  const auto& dma = std::get<Dma>(program_.instructions[index].body);
  if (program_.instructions[index].opcode == isa::Opcode::kStore) {
    Read(order, index, dma.pad, dma.sram_base, dma.SramEntries());
  } else {
    Write(order, index, dma.pad, dma.sram_base, dma.SramEntries());
  }
}

void Shadow::VisitGemm(const Order& order, size_t index, const GemmPlan& plan) {
  if (!std::get<Gemm>(program_.instructions[index].body).reset) {
    for (const GemmPlan::Range& range : plan.inp) Read(order, index, Pad::kInp, range.begin, range.entries);
    for (const GemmPlan::Range& range : plan.wgt) Read(order, index, Pad::kWgt, range.begin, range.entries);
    for (const GemmPlan::Range& range : plan.acc) Read(order, index, Pad::kAcc, range.begin, range.entries);
  }
  for (const GemmPlan::Range& range : plan.acc) Write(order, index, Pad::kAcc, range.begin, range.entries);
}

void Shadow::VisitPpu(const Order& order, size_t index, const Params& params) {
  const auto& ppu = std::get<Ppu>(program_.instructions[index].body);
  const uint64_t vectors = ppu.AccEntries() * static_cast<uint64_t>(params.output_lanes) /
                           static_cast<uint64_t>(params.vector_size);
  Read(order, index, Pad::kAcc, ppu.acc_base, ppu.AccEntries());
  Read(order, index, Pad::kPar, ppu.par_base, ppu.blocks);
  if (ppu.residual) Read(order, index, Pad::kInp, ppu.res_base, vectors);
  if (ppu.wide) {
    Write(order, index, Pad::kAcc, ppu.acc_base, ppu.AccEntries());
  } else {
    Write(order, index, Pad::kOut, ppu.out_base, vectors);
  }
}

}  // namespace tvm_vsq::sim
