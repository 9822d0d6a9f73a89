#include "tvm_vsq/sim/micro_ops.h"

#include "tvm_vsq/sim/bytes.h"
#include "tvm_vsq/sim/declarations.h"

namespace tvm_vsq::sim {

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
  const isa::Word word{{ReadLittleEndian(bytes, record)}};
  Uop uop;
  Uop::ForEachField(uop, [&](const isa::FieldInfo&, auto slot, uint32_t& entry) {
    entry = static_cast<uint32_t>((fields_.*slot).Get(word));
  });
  return uop;
}

void MicroOps::CheckConstants(size_t index) const {
  const int64_t written = written_.FirstReadBy(*TransferOf(program_.instructions[index]));
  if (written < 0) return;
  program_.FailAt(index, "micro-ops must be constants, but ",
                  written_.WriterOf(program_, static_cast<uint64_t>(written)), " writes DRAM byte ", written);
}

// The loops only add: the largest index of each scratchpad is that of the last iteration and the largest
// micro-op.
void MicroOps::CheckIndices(size_t index, const MicroOpLoops& loops) const {
  for (const IndexedAccess& access : loops) {
    const uint64_t steps = uint64_t{access.nest.out - 1} * access.out +
                           uint64_t{access.nest.in - 1} * access.in + access.taps.Reach();
    const auto depth = static_cast<uint64_t>(params_.Depth(access.pad));
    for (uint64_t u = loops.uop_begin; u < uint64_t{loops.uop_begin} + access.nest.uops; ++u) {
      const uint64_t last = uops_[u].*access.index + steps + access.width - 1;
      if (last < depth) continue;
      program_.FailAt(index, "micro-op ", u, ": ", PadName(access.pad), " index ", uops_[u].*access.index,
                      " reaches ", last, " in the last iteration; the scratchpad has ", depth, " entries");
    }
  }
}

}  // namespace tvm_vsq::sim
