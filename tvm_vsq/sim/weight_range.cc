#include "tvm_vsq/sim/weight_range.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tvm_vsq/sim/bytes.h"
#include "tvm_vsq/sim/declarations.h"
#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::sim {
namespace {

// As many elements as fit a window are looked at together.
class LowestCode {
 public:
  static constexpr size_t kWindowBytes = 8;

  explicit LowestCode(const Params& params)
      : bits_(static_cast<size_t>(params.weight_bits)),
        size_(static_cast<size_t>(params.vector_size)),
        lanes_(static_cast<size_t>(params.output_lanes)),
        stride_(size_ * bits_ + static_cast<size_t>(params.weight_scale_bits)) {
    while (2 * group_ * bits_ <= 8 * kWindowBytes - 7 && 2 * group_ <= size_) group_ *= 2;
    for (size_t i = 0; i < group_; ++i) ones_ |= uint64_t{1} << i * bits_;
  }

  // Reads up to kWindowBytes behind the record.
  bool Occurs(const uint8_t* record) const {
    const uint64_t signs = ones_ << (bits_ - 1);
    uint64_t found = 0;
    for (size_t lane = 0; lane < lanes_; ++lane) {
      for (size_t i = 0; i < size_; i += group_) {
        const size_t at = lane * stride_ + i * bits_;
        // Flipping the sign bits makes the lowest code 0. Subtracting 1 from every element borrows into the
        // sign of one that is 0 before it can disturb any other.
        const uint64_t codes = (ReadLittleEndian(record + at / 8, kWindowBytes) >> at % 8) ^ signs;
        found |= (codes - ones_) & ~codes & signs;
      }
    }
    return found != 0;
  }

 private:
  const size_t bits_, size_, lanes_, stride_;
  size_t group_ = 1;
  uint64_t ones_ = 0;
};

bool WritesWeights(const Params& params, const Instruction& instruction) {
  bool writes = false;
  const auto look = [&](Pad pad, Use use) { writes = writes || (pad == Pad::kWgt && Writes(use)); };
  ForEachAccess(params, instruction, [&](const Access& access) { look(access.pad, access.use); });
  if (const std::optional<MicroOpLoops> loops = LoopsOf(params, instruction)) {
    for (const IndexedAccess& access : *loops) look(access.pad, access.use);
  }
  return writes;
}

}  // namespace

bool WeightsAreSymmetric(const Params& params, const Program& program, std::string_view image,
                         const WrittenBytes& written) {
  const LowestCode lowest(params);
  const auto bytes = static_cast<size_t>(params.wgt_record_bytes);
  std::vector<uint8_t> last(bytes + LowestCode::kWindowBytes);
  const auto occurs = [&](uint64_t at) {
    const auto* record = reinterpret_cast<const uint8_t*>(image.data()) + at;
    if (at + last.size() <= image.size()) return lowest.Occurs(record);
    std::copy_n(record, bytes, last.begin());
    return lowest.Occurs(last.data());
  };
  bool symmetric = true;
  for (const Instruction& instruction : program.instructions) {
    const std::optional<Transfer> transfer = TransferOf(instruction);
    if (!transfer || transfer->writes_dram || transfer->pad != Pad::kWgt) {
      if (WritesWeights(params, instruction)) return false;
      continue;
    }
    if (transfer->second) {
      // Digits of as many bits may have the lowest code; otherwise LOAD looks for it when it runs, or there
      // is none.
      if (params.precision_passes > 1 && params.second_bits == params.weight_bits) return false;
      continue;
    }
    if (written.FirstReadBy(*transfer) >= 0) return false;
    ForEachPiece(params, *transfer, [&](uint64_t begin, uint64_t size) {
      if (begin >= image.size()) return;  // zeros
      CountWork(size);
      symmetric = symmetric && begin + size <= image.size();
      for (uint64_t at = begin; symmetric && at < begin + size; at += bytes) symmetric = !occurs(at);
    });
    if (!symmetric) return false;
  }
  return true;
}

}  // namespace tvm_vsq::sim
