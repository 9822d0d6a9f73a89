#include "tvm_vsq/sim/written_bytes.h"

#include <algorithm>

#include "tvm_vsq/sim/dma.h"

namespace tvm_vsq::sim {

WrittenBytes::WrittenBytes(const Params& params, const Program& program, const std::vector<ByteRange>& inputs)
    : params_(params) {
  std::vector<ByteRange> pieces = inputs;
  for (const Instruction& instruction : program.instructions) {
    if (instruction.opcode != isa::Opcode::kStore) continue;
    ForEachPiece(params, std::get<Dma>(instruction.body),
                 [&](uint64_t begin, uint64_t bytes) { pieces.push_back({begin, begin + bytes}); });
  }
  std::sort(pieces.begin(), pieces.end(),
            [](const ByteRange& a, const ByteRange& b) { return a.begin < b.begin; });
  for (const ByteRange& piece : pieces) {
    if (ranges_.empty() || piece.begin > ranges_.back().end) {
      ranges_.push_back(piece);
    } else {
      ranges_.back().end = std::max(ranges_.back().end, piece.end);
    }
  }
}

int64_t WrittenBytes::FirstReadBy(const Dma& load) const {
  int64_t first = -1;
  ForEachPiece(params_, load, [&](uint64_t begin, uint64_t bytes) {
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
    if (program.instructions[i].opcode != isa::Opcode::kStore) continue;
    bool writes = false;
    ForEachPiece(params_, std::get<Dma>(program.instructions[i].body), [&](uint64_t begin, uint64_t bytes) {
      writes = writes || (begin <= byte && byte < begin + bytes);
    });
    if (writes) return program.Where(i);
  }
  return "an input";
}

}  // namespace tvm_vsq::sim
