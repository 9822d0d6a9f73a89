#include "tvm_vsq/sim/shadow.h"

#include <algorithm>
#include <limits>

#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::sim {
namespace {

// Without branches, and comparing signed numbers: every x86-64 has vector instructions for this.
bool AnyBeyond(const int32_t* values, uint64_t count, int32_t limit) {
  int32_t any = 0;
  for (uint64_t i = 0; i < count; ++i) any |= values[i] > limit ? 1 : 0;
  return any != 0;
}

}  // namespace

Shadow::Shadow(const Params& params, const Program& program) : program_(program) {
  for (int pad = 0; pad < kPadCount; ++pad) {
    pads_[static_cast<size_t>(pad)].written.resize(static_cast<size_t>(params.Depth(static_cast<Pad>(pad))));
  }
}

void Shadow::Begin(const Order& order, size_t index) {
  index_ = index;
  self_ = static_cast<size_t>(program_.instructions[index].engine());
  for (size_t engine = 0; engine < kEngineCount; ++engine) {
    const size_t complete = order.CompleteBefore(static_cast<Engine>(engine));
    safe_before_[engine] =
        engine == self_ ? std::numeric_limits<int32_t>::max() : static_cast<int32_t>(complete);
  }
}

bool Shadow::Ordered(const Last& last, uint64_t begin, uint64_t count) const {
  for (size_t engine = 0; engine < kEngineCount; ++engine) {
    if (engine == self_ || last[engine].empty()) continue;
    if (AnyBeyond(last[engine].data() + begin, count, safe_before_[engine])) return false;
  }
  return true;
}

void Shadow::Race(Pad pad, const Last& last, uint64_t begin, const char* verb) const {
  uint64_t entry = begin;
  while (Ordered(last, entry, 1)) ++entry;
  int32_t other = 0;
  for (size_t engine = 0; engine < kEngineCount; ++engine) {
    if (!last[engine].empty() && last[engine][entry] > safe_before_[engine])
      other = std::max(other, last[engine][entry]);
  }
  program_.FailAt(index_, "race: ", verb, " entry ", entry, " of scratchpad ", PadName(pad),
                  ", but no token orders it ", "behind ", program_.Where(static_cast<size_t>(other) - 1));
}

void Shadow::Enter(uint64_t begin, uint64_t count, const Entries& entries, Last* last) const {
  std::vector<int32_t>& own = (*last)[self_];
  if (own.empty()) own.resize(entries.written.size());
  std::fill_n(own.begin() + static_cast<std::ptrdiff_t>(begin), count, static_cast<int32_t>(index_ + 1));
}

void Shadow::Read(Pad pad, uint64_t begin, uint64_t count) {
  CountWork(count);
  Entries& entries = pads_[static_cast<size_t>(pad)];
  const auto first = entries.written.begin() + static_cast<std::ptrdiff_t>(begin);
  const auto end = first + static_cast<std::ptrdiff_t>(count);
  if (const auto missing = std::find(first, end, 0); missing != end) {
    program_.FailAt(index_, "reads entry ", missing - entries.written.begin(), " of scratchpad ",
                    PadName(pad), ", which nothing has written");
  }
  if (!Ordered(entries.writer, begin, count)) Race(pad, entries.writer, begin, "reads");
  Enter(begin, count, entries, &entries.reader);
}

void Shadow::Write(Pad pad, uint64_t begin, uint64_t count) {
  CountWork(count);
  Entries& entries = pads_[static_cast<size_t>(pad)];
  for (const Last* last : {&entries.reader, &entries.writer}) {
    if (!Ordered(*last, begin, count)) Race(pad, *last, begin, "overwrites");
  }
  std::fill_n(entries.written.begin() + static_cast<std::ptrdiff_t>(begin), count, 1);
  Enter(begin, count, entries, &entries.writer);
}

}  // namespace tvm_vsq::sim
