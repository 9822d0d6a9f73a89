#include "tvm_vsq/sim/written_bytes.h"

#include <algorithm>

#include "tvm_vsq/sim/declarations.h"
#include "tvm_vsq/sim/limits.h"

namespace tvm_vsq::sim {

WrittenBytes::WrittenBytes(const Params& params, const Program& program, const std::vector<ByteRange>& inputs)
    : params_(params), ranges_(inputs) {
  for (const Instruction& instruction : program.instructions) {
    const std::optional<Transfer> transfer = TransferOf(instruction);
    if (!transfer || !transfer->writes_dram) continue;
    ForEachPiece(params, *transfer, [&](uint64_t begin, uint64_t bytes) {
      ranges_.push_back({begin, begin + bytes});
      if (ranges_.size() > 2 * kMaxWrittenRanges) Join();
    });
  }
  Join();
}

void WrittenBytes::Join() {
  std::sort(ranges_.begin(), ranges_.end(),
            [](const ByteRange& a, const ByteRange& b) { return a.begin < b.begin; });
  size_t count = 0;
  for (const ByteRange& range : ranges_) {
    if (count == 0 || range.begin > ranges_[count - 1].end) {
      ranges_[count++] = range;
    } else {
      ranges_[count - 1].end = std::max(ranges_[count - 1].end, range.end);
    }
  }
  ranges_.resize(count);
  if (count > kMaxWrittenRanges) {
    Fail("STOREs and inputs write ", count, " separate ranges of DRAM, at most ", kMaxWrittenRanges,
         " are allowed");
  }
}

int64_t WrittenBytes::FirstReadBy(const Transfer& transfer) const {
  int64_t first = -1;
  ForEachPiece(params_, transfer, [&](uint64_t begin, uint64_t bytes) {
    if (first >= 0) return;
    const auto range =
        std::upper_bound(ranges_.begin(), ranges_.end(), begin,
                         [](uint64_t byte, const ByteRange& candidate) { return byte < candidate.end; });
    if (range != ranges_.end() && range->begin < begin + bytes)
      first = static_cast<int64_t>(std::max(begin, range->begin));
  });
  return first;
}

std::string WrittenBytes::WriterOf(const Program& program, uint64_t byte) const {
  for (size_t i = 0; i < program.instructions.size(); ++i) {
    const std::optional<Transfer> transfer = TransferOf(program.instructions[i]);
    if (!transfer || !transfer->writes_dram) continue;
    bool writes = false;
    ForEachPiece(params_, *transfer, [&](uint64_t begin, uint64_t bytes) {
      writes = writes || (begin <= byte && byte < begin + bytes);
    });
    if (writes) return program.Where(i);
  }
  return "an input";
}

}  // namespace tvm_vsq::sim
