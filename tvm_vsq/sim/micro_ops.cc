#include "tvm_vsq/sim/micro_ops.h"

#include <algorithm>

#include "tvm_vsq/sim/bytes.h"
#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::sim {
namespace {

struct PadUse {
  Pad pad;
  uint32_t Uop::* index;
  uint32_t Gemm::* out;
  uint32_t Gemm::* in;
};

constexpr PadUse kPadUses[] = {{Pad::kAcc, &Uop::acc, &Gemm::acc_out, &Gemm::acc_in},
                               {Pad::kInp, &Uop::inp, &Gemm::inp_out, &Gemm::inp_in},
                               {Pad::kWgt, &Uop::wgt, &Gemm::wgt_out, &Gemm::wgt_in}};

}  // namespace

MicroOps::MicroOps(const Params& params, const Program& program, std::string_view image,
                   const WrittenBytes& written)
    : params_(params),
      program_(program),
      image_(image),
      written_(written),
      fields_(isa::Layout(params.Sizes()).uop),
      uops_(static_cast<size_t>(params.uop_depth)) {}

Uop MicroOps::Decode(uint64_t address) const {
  uint8_t bytes[8] = {};
  const auto record = static_cast<uint64_t>(params_.uop_record_bytes);
  for (uint64_t i = 0; i < record && address + i < image_.size(); ++i)
    bytes[i] = static_cast<uint8_t>(image_[address + i]);
  const isa::Word word{ReadLittleEndian(bytes, record), 0};
  return {static_cast<uint32_t>(fields_.acc.Get(word)), static_cast<uint32_t>(fields_.inp.Get(word)),
          static_cast<uint32_t>(fields_.wgt.Get(word))};
}

void MicroOps::Load(size_t index) {
  const auto& dma = std::get<Dma>(program_.instructions[index].body);
  const int64_t written = written_.FirstReadBy(dma);
  if (written >= 0) {
    program_.FailAt(index, "micro-ops must be constants, but ",
                    written_.WriterOf(program_, static_cast<uint64_t>(written)), " writes DRAM byte ",
                    written);
  }
  const auto record = static_cast<uint64_t>(params_.uop_record_bytes);
  auto entry = uops_.begin() + dma.sram_base;
  for (uint64_t row = 0; row < dma.Rows(); ++row) {
    CountWork(4 * dma.Columns() * dma.z_size);
    for (uint64_t column = 0; column < dma.Columns(); ++column) {
      const uint64_t y = row - dma.y_pad_top, x = column - dma.x_pad_left;  // huge before the first
      for (uint64_t z = 0; z < dma.z_size; ++z, ++entry) {
        const bool inside = y < dma.y_size && x < dma.x_size;
        *entry = inside ? Decode(dma.dram_base + (y * dma.y_stride + x * dma.x_stride + z) * record) : Uop();
      }
    }
  }
}

// The loops only add: the largest index of each scratchpad is that of the last iteration and the largest
// micro-op.
void MicroOps::CheckIndices(size_t index) const {
  const auto& gemm = std::get<Gemm>(program_.instructions[index].body);
  for (const PadUse& use : kPadUses) {
    if (gemm.reset && use.pad != Pad::kAcc) continue;
    const uint64_t steps =
        uint64_t{gemm.iter_out - 1} * (gemm.*use.out) + uint64_t{gemm.iter_in - 1} * (gemm.*use.in);
    const auto depth = static_cast<uint64_t>(params_.Depth(use.pad));
    for (uint64_t u = gemm.uop_begin; u < uint64_t{gemm.uop_begin} + gemm.uop_count; ++u) {
      const uint64_t last = uops_[u].*use.index + steps;
      if (last < depth) continue;
      program_.FailAt(index, "micro-op ", u, ": ", PadName(use.pad), " index ", uops_[u].*use.index,
                      " reaches ", last, " in the last iteration; the scratchpad has ", depth, " entries");
    }
  }
}

}  // namespace tvm_vsq::sim
