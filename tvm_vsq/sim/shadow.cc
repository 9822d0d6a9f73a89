#include "tvm_vsq/sim/shadow.h"

namespace tvm_vsq::sim {
namespace {

Engine WriterOf(Pad pad) { return pad == Pad::kAcc || pad == Pad::kOut ? Engine::kCompute : Engine::kLoad; }
Engine ReaderOf(Pad pad) { return pad == Pad::kAcc || pad == Pad::kOut ? Engine::kStore : Engine::kCompute; }

struct IndexOf {
  uint32_t Uop::* index;
  uint32_t Gemm::* out;
  uint32_t Gemm::* in;
};

IndexOf GemmIndex(Pad pad) {
  if (pad == Pad::kAcc) return {&Uop::acc, &Gemm::acc_out, &Gemm::acc_in};
  if (pad == Pad::kInp) return {&Uop::inp, &Gemm::inp_out, &Gemm::inp_in};
  return {&Uop::wgt, &Gemm::wgt_out, &Gemm::wgt_in};
}

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
  for (uint64_t entry = begin; entry < begin + count; ++entry) ReadEntry(order, index, pad, entry);
}

void Shadow::Write(const Order& order, size_t index, Pad pad, uint64_t begin, uint64_t count) {
  for (uint64_t entry = begin; entry < begin + count; ++entry) WriteEntry(order, index, pad, entry);
}

// Loops that do not move an index, and neighbouring micro-ops with the same one, are visited once.
template <typename Visit>
void Shadow::ForEachGemmEntry(const Gemm& gemm, const Scratchpads& pads, Pad pad, Visit visit) const {
  const IndexOf use = GemmIndex(pad);
  const uint64_t step_out = gemm.*use.out, step_in = gemm.*use.in;
  const uint64_t outer = step_out == 0 ? 1 : gemm.iter_out, inner = step_in == 0 ? 1 : gemm.iter_in;
  uint64_t previous = ~uint64_t{0};
  for (uint64_t u = gemm.uop_begin; u < uint64_t{gemm.uop_begin} + gemm.uop_count; ++u) {
    const uint64_t base = pads.uop[u].*use.index;
    if (base == previous) continue;
    previous = base;
    for (uint64_t o = 0; o < outer; ++o) {
      for (uint64_t i = 0; i < inner; ++i) visit(base + o * step_out + i * step_in);
    }
  }
}

void Shadow::VisitGemm(const Order& order, size_t index, const Scratchpads& pads) {
  const auto& gemm = std::get<Gemm>(program_.instructions[index].body);
  if (!gemm.reset) {
    for (const Pad pad : {Pad::kInp, Pad::kWgt, Pad::kAcc}) {
      ForEachGemmEntry(gemm, pads, pad, [&](uint64_t entry) { ReadEntry(order, index, pad, entry); });
    }
  }
  ForEachGemmEntry(gemm, pads, Pad::kAcc,
                   [&](uint64_t entry) { WriteEntry(order, index, Pad::kAcc, entry); });
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
