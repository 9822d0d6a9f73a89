#include "tvm_vsq/sim/dram_order.h"

#include <algorithm>
#include <utility>

#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::sim {
namespace {

constexpr uint64_t kGranuleBytes = 64;

using Piece = std::pair<uint64_t, uint64_t>;  // [begin, end)

std::vector<Piece> SortedPieces(const Params& params, const Transfer& transfer) {
  std::vector<Piece> pieces;
  ForEachPiece(params, transfer,
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

DramOrder::DramOrder(const Params& params, const Program& program) : params_(params), program_(program) {}

void DramOrder::Visit(const Order& order, size_t index, const Transfer& transfer) {
  const auto self = static_cast<size_t>(program_.instructions[index].engine());
  const auto check = [&](const std::array<Side, kEngineCount>& sides) {
    for (size_t engine = 0; engine < kEngineCount; ++engine) {
      const std::vector<uint32_t>& last = sides[engine].last;
      if (engine == self || last.empty()) continue;
      const size_t known = order.CompleteBefore(static_cast<Engine>(engine));
      bool suspicious = false;
      ForEachPiece(params_, transfer, [&](uint64_t begin, uint64_t bytes) {
        CountWork(bytes / kGranuleBytes);
        for (uint64_t g = begin / kGranuleBytes; g <= (begin + bytes - 1) / kGranuleBytes; ++g)
          suspicious |= last[g] > known;
      });
      if (suspicious) CompareExactly(order, index, transfer, static_cast<Engine>(engine), sides[engine]);
    }
  };
  check(writers_);
  if (transfer.writes_dram) check(readers_);
  Side& own = (transfer.writes_dram ? writers_ : readers_)[self];
  if (own.last.empty()) own.last.resize(program_.dram_bytes / kGranuleBytes + 1);
  ForEachPiece(params_, transfer, [&](uint64_t begin, uint64_t bytes) {
    CountWork(bytes / kGranuleBytes);
    std::fill(own.last.begin() + static_cast<std::ptrdiff_t>(begin / kGranuleBytes),
              own.last.begin() + static_cast<std::ptrdiff_t>((begin + bytes - 1) / kGranuleBytes + 1),
              static_cast<uint32_t>(index + 1));
  });
  own.transfers.emplace_back(index, transfer);
}

void DramOrder::CompareExactly(const Order& order, size_t index, const Transfer& transfer, Engine engine,
                               const Side& others) const {
  const size_t known = order.CompleteBefore(engine);
  const std::vector<Piece> pieces = SortedPieces(params_, transfer);
  for (auto other = others.transfers.rbegin(); other != others.transfers.rend() && other->first >= known;
       ++other) {
    const std::vector<Piece> theirs = SortedPieces(params_, other->second);
    CountWork(16 * (1 + pieces.size() + theirs.size()));
    const int64_t byte = FirstCommonByte(pieces, theirs);
    if (byte < 0) continue;
    program_.FailAt(index, "race on DRAM byte ", byte, ": no token orders it behind ",
                    program_.Where(other->first));
  }
}

}  // namespace tvm_vsq::sim
