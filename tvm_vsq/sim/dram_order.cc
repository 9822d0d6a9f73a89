#include "tvm_vsq/sim/dram_order.h"

#include <algorithm>
#include <utility>

#include "tvm_vsq/sim/dma.h"
#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::sim {
namespace {

constexpr uint64_t kGranuleBytes = 64;

using Piece = std::pair<uint64_t, uint64_t>;  // [begin, end)

std::vector<Piece> SortedPieces(const Params& params, const Dma& dma) {
  std::vector<Piece> pieces;
  ForEachPiece(params, dma,
               [&](uint64_t begin, uint64_t bytes) { pieces.emplace_back(begin, begin + bytes); });
  std::sort(pieces.begin(), pieces.end());
  return pieces;
}

// The first byte that both touch, or -1.
int64_t FirstCommonByte(const std::vector<Piece>& a, const std::vector<Piece>& b) {
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    const uint64_t begin = std::max(a[i].first, b[j].first);
    if (begin < std::min(a[i].second, b[j].second)) return static_cast<int64_t>(begin);
    a[i].second < b[j].second ? ++i : ++j;
  }
  return -1;
}

}  // namespace

DramOrder::DramOrder(const Params& params, const Program& program) : params_(params), program_(program) {
  const size_t granules = program.dram_bytes / kGranuleBytes + 1;
  last_load_.resize(granules);
  last_store_.resize(granules);
}

void DramOrder::Visit(const Order& order, size_t index) {
  const Instruction& instruction = program_.instructions[index];
  const bool store = instruction.opcode == isa::Opcode::kStore;
  const std::vector<uint32_t>& others = store ? last_load_ : last_store_;
  std::vector<uint32_t>& own = store ? last_store_ : last_load_;
  const size_t known = order.CompleteBefore(store ? Engine::kLoad : Engine::kStore);
  bool suspicious = false;
  ForEachPiece(params_, std::get<Dma>(instruction.body), [&](uint64_t begin, uint64_t bytes) {
    CountWork(bytes / kGranuleBytes);
    for (uint64_t g = begin / kGranuleBytes; g <= (begin + bytes - 1) / kGranuleBytes; ++g) {
      suspicious |= others[g] > known;
      own[g] = static_cast<uint32_t>(index + 1);
    }
  });
  if (suspicious) CompareExactly(order, index);
  (store ? stores_ : loads_).push_back(index);
}

void DramOrder::CompareExactly(const Order& order, size_t index) {
  const Instruction& instruction = program_.instructions[index];
  const bool store = instruction.opcode == isa::Opcode::kStore;
  const std::vector<size_t>& others = store ? loads_ : stores_;
  const size_t known = order.CompleteBefore(store ? Engine::kLoad : Engine::kStore);
  const std::vector<Piece> pieces = SortedPieces(params_, std::get<Dma>(instruction.body));
  for (auto other = others.rbegin(); other != others.rend() && *other >= known; ++other) {
    const Dma& dma = std::get<Dma>(program_.instructions[*other].body);
    const std::vector<Piece> theirs = SortedPieces(params_, dma);
    CountWork(16 * (1 + pieces.size() + theirs.size()));
    const int64_t byte = FirstCommonByte(pieces, theirs);
    if (byte < 0) continue;
    program_.FailAt(index, "race on DRAM byte ", byte, ": no token orders it behind ",
                    program_.Where(*other));
  }
}

}  // namespace tvm_vsq::sim
