#include "tvm_vsq/sim/trace.h"

#include "tvm_vsq/sim/poll.h"

#include <algorithm>
#include <utility>

namespace tvm_vsq::sim {
namespace {

// Of `count` events in [begin, end), those before `now`; monotonic, so that differences add up.
int64_t Before(int64_t count, int64_t begin, int64_t end, int64_t now) {
  if (now >= end) return count;
  // The product first: a quotient that is a whole number is then exact, and a bin holds no byte too many.
  const double product = static_cast<double>(count) * static_cast<double>(now - begin);
  return static_cast<int64_t>(product / static_cast<double>(end - begin));
}

void Spread(const EventCounts& counts, int64_t begin, int64_t end, Trace* trace) {
  end = std::max(end, begin + 1);
  EventCounts done{};
  for (int64_t bin = begin / trace->bin_cycles; done != counts; ++bin) {
    CountWork(32);
    const int64_t edge = (bin + 1) * trace->bin_cycles;
    for (size_t event = 0; event < counts.size(); ++event) {
      const int64_t until = Before(counts[event], begin, end, edge);
      trace->bins[static_cast<size_t>(bin)][event] += until - done[event];
      done[event] = until;
    }
  }
}

}  // namespace

// The bytes that the channel moved while it was busy, in whole bursts.
void CountDramBytes(const Params& params, const std::vector<Channel::Interval>& busy, Trace* trace) {
  const Channel channel = MakeChannel(params);
  for (const Channel::Interval& interval : busy) {
    const int64_t bytes = (interval.end - interval.begin) / channel.burst_cycles() * params.dram_burst_bytes;
    CountWork(4);
    int64_t done = 0;
    for (int64_t bin = interval.begin / trace->bin_cycles; done < bytes; ++bin) {
      CountWork(4);
      const int64_t until = Before(bytes, interval.begin, interval.end, (bin + 1) * trace->bin_cycles);
      trace->dram_bytes[static_cast<size_t>(bin)] += until - done;
      done = until;
    }
  }
}

Trace TraceProgram(const Params& params, const Program& program, int64_t max_bins,
                   const PreparedProgram* prepared) {
  Trace trace;
  TimingRecord record;
  trace.cycles = SimulateTiming(params, program, &record).cycles;
  trace.times = std::move(record.times);
  trace.path = CriticalPath(params, program, trace.times);
  trace.bin_cycles = trace.cycles / max_bins + 1;
  trace.bins.resize(static_cast<size_t>(trace.cycles / trace.bin_cycles + 1));
  trace.dram_bytes.resize(trace.bins.size());
  CountDramBytes(params, record.channel, &trace);
  const CostModel cost(params);
  for (size_t i = 0; i < program.instructions.size(); ++i) {
    const Instruction& instruction = program.instructions[i];
    CountWork(16);
    EventCounts counts{};
    cost.AddEvents(instruction, cost.CostOf(instruction).bursts, &counts);
    Spread(counts, trace.times[i].transfer, trace.times[i].end, &trace);
  }
  if (prepared != nullptr) {
    trace.alive = AliveCycles(params, program, *prepared, trace.times, trace.bin_cycles, trace.bins.size());
  }
  return trace;
}

}  // namespace tvm_vsq::sim
