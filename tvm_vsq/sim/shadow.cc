#include "tvm_vsq/sim/shadow.h"

#include <algorithm>
#include <limits>

#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::sim {
namespace {

// Loops without branches, and comparisons of signed numbers: every x86-64 has vector instructions for these.
bool AnyBeyond(const int32_t* values, uint64_t count, int32_t limit) {
  int32_t any = 0;
  for (uint64_t i = 0; i < count; ++i) any |= values[i] > limit ? 1 : 0;
  return any != 0;
}

bool AnyZeroOrBeyond(const int32_t* values, uint64_t count, int32_t limit) {
  int32_t any = 0;
  for (uint64_t i = 0; i < count; ++i) any |= (values[i] > limit ? 1 : 0) | (values[i] == 0 ? 1 : 0);
  return any != 0;
}

}  // namespace

Shadow::Shadow(const Params& params, const Program& program) : program_(program) {
  for (int pad = 0; pad < kPadCount; ++pad) {
    pads_[static_cast<size_t>(pad)].writer.resize(static_cast<size_t>(params.Depth(static_cast<Pad>(pad))));
  }
}

int32_t Shadow::SafeBefore(const Order& order, Engine self, size_t engine) {
  const auto other = static_cast<Engine>(engine);
  return other == self ? std::numeric_limits<int32_t>::max()
                       : static_cast<int32_t>(order.CompleteBefore(other));
}

int32_t Shadow::SafeBefore(const Order& order, Engine self, const Entries& entries) {
  auto safe = std::numeric_limits<int32_t>::max();
  for (size_t engine = 0; engine < kEngineCount; ++engine) {
    if (entries.writes[engine]) safe = std::min(safe, SafeBefore(order, self, engine));
  }
  return safe;
}

bool Shadow::Safe(const Order& order, Engine self, int32_t instruction) const {
  if (instruction == 0) return true;
  const Engine engine = program_.instructions[instruction - 1].engine();
  return instruction <= SafeBefore(order, self, static_cast<size_t>(engine));
}

void Shadow::Race(size_t index, Pad pad, uint64_t entry, const char* verb, int32_t other) const {
  program_.FailAt(index, "race: ", verb, " entry ", entry, " of scratchpad ", PadName(pad),
                  ", but no token orders it ", "behind ", program_.Where(other - 1));
}

void Shadow::Read(const Order& order, size_t index, Pad pad, uint64_t begin, uint64_t count) {
  CountWork(count);
  const Engine self = program_.instructions[index].engine();
  Entries& entries = pads_[static_cast<size_t>(pad)];
  const int32_t* writer = entries.writer.data() + begin;
  if (AnyZeroOrBeyond(writer, count, SafeBefore(order, self, entries))) {
    for (uint64_t i = 0; i < count; ++i) {
      if (writer[i] == 0) {
        program_.FailAt(index, "reads entry ", begin + i, " of scratchpad ", PadName(pad),
                        ", which nothing has written");
      }
      if (!Safe(order, self, writer[i])) Race(index, pad, begin + i, "reads", writer[i]);
    }
  }
  Last& reader = entries.reader[static_cast<size_t>(self)];
  if (reader.empty()) reader.resize(entries.writer.size());
  std::fill_n(reader.begin() + static_cast<std::ptrdiff_t>(begin), count, static_cast<int32_t>(index + 1));
}

void Shadow::Write(const Order& order, size_t index, Pad pad, uint64_t begin, uint64_t count) {
  CountWork(count);
  const Engine self = program_.instructions[index].engine();
  Entries& entries = pads_[static_cast<size_t>(pad)];
  int32_t* writer = entries.writer.data() + begin;
  bool safe = !AnyBeyond(writer, count, SafeBefore(order, self, entries));
  for (size_t engine = 0; engine < kEngineCount; ++engine) {
    const Last& reader = entries.reader[engine];
    if (reader.empty() || engine == static_cast<size_t>(self)) continue;
    safe = safe && !AnyBeyond(reader.data() + begin, count, SafeBefore(order, self, engine));
  }
  for (uint64_t i = 0; i < count && !safe; ++i) {
    for (const Last& reader : entries.reader) {
      if (!reader.empty() && !Safe(order, self, reader[begin + i]))
        Race(index, pad, begin + i, "overwrites", reader[begin + i]);
    }
    if (!Safe(order, self, writer[i])) Race(index, pad, begin + i, "overwrites", writer[i]);
  }
  entries.writes[static_cast<size_t>(self)] = true;
  std::fill_n(writer, count, static_cast<int32_t>(index + 1));
}

}  // namespace tvm_vsq::sim
