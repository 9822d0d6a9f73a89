#include "tvm_vsq/runtime/profile.h"

#include <vector>

namespace tvm_vsq::runtime {

namespace ffi = tvm::ffi;

namespace {

using Row = ffi::Array<int64_t>;

// [busy, stalled] of each unit, all layers together.
ffi::Array<Row> UnitsOf(const sim::Timing& timing) {
  ffi::Array<Row> units;
  for (size_t unit = 0; unit < sim::kUnitCount; ++unit) {
    int64_t busy = 0, stalled = 0;
    for (const sim::LayerTiming& layer : timing.layers) {
      busy += layer.units[unit].busy;
      stalled += layer.units[unit].Stalled();
    }
    units.push_back({busy, stalled});
  }
  return units;
}

ffi::Bytes BytesOf(const std::vector<int64_t>& values) {
  return ffi::Bytes(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(int64_t));
}

// [layer, unit, stall, cause, cycles] wherever cycles are not 0.
ffi::Bytes StallsOf(const sim::Timing& timing) {
  std::vector<int64_t> rows;
  for (size_t layer = 0; layer < timing.layers.size(); ++layer) {
    for (size_t unit = 0; unit < sim::kUnitCount; ++unit) {
      const sim::StallCycles& stalls = timing.layers[layer].units[unit].stalls;
      for (size_t stall = 0; stall < sim::kStallCount; ++stall) {
        for (size_t cause = 0; cause < sim::kCauseCount; ++cause) {
          const int64_t cycles = stalls[stall][cause];
          if (cycles == 0) continue;
          for (const size_t number : {layer, unit, stall, cause})
            rows.push_back(static_cast<int64_t>(number));
          rows.push_back(cycles);
        }
      }
    }
  }
  return BytesOf(rows);
}

template <typename List>
ffi::Array<ffi::String> Names(const List& names) {
  ffi::Array<ffi::String> array;
  for (const auto& name : names) array.push_back(ffi::String(name));
  return array;
}

}  // namespace

ffi::Map<ffi::String, ffi::Any> ProfileOf(const std::string& name, const sim::Timing& timing) {
  ffi::Array<Row> events, busy;
  Row ends;
  for (const sim::LayerTiming& layer : timing.layers) {
    ends.push_back(layer.end);
    events.push_back(Row(layer.events.begin(), layer.events.end()));
    Row cycles;
    for (const sim::Activity& activity : layer.units) cycles.push_back(activity.busy);
    busy.push_back(cycles);
  }
  return {{"name", ffi::String(name)}, {"cycles", timing.cycles},  {"layer_end", ends},
          {"events", events},          {"units", UnitsOf(timing)}, {"busy", busy},
          {"stalls", StallsOf(timing)}};
}

ffi::Map<ffi::String, ffi::Any> TraceOf(const sim::Trace& trace) {
  std::vector<int64_t> times, path, bins, alive;
  for (const sim::InstructionTimes& t : trace.times) {
    times.insert(times.end(), {t.queued, t.taken, t.start, t.transfer, t.end, t.complete});
  }
  for (const sim::PathStep& s : trace.path) {
    path.insert(path.end(),
                {static_cast<int64_t>(s.instruction), static_cast<int64_t>(s.step), s.begin, s.end});
  }
  for (const sim::EventCounts& counts : trace.bins) bins.insert(bins.end(), counts.begin(), counts.end());
  for (const sim::PadCounts& counts : trace.alive) alive.insert(alive.end(), counts.begin(), counts.end());
  return {{"cycles", trace.cycles},  {"bin_cycles", trace.bin_cycles},
          {"times", BytesOf(times)}, {"path", BytesOf(path)},
          {"bins", BytesOf(bins)},   {"dram_bytes", BytesOf(trace.dram_bytes)},
          {"alive", BytesOf(alive)}};
}

ffi::Map<ffi::String, ffi::Array<ffi::String>> TimingNames() {
  return {{"units", Names(sim::kUnitNames)},
          {"stalls", Names(sim::StallNames())},
          {"causes", Names(sim::kCauseNames)},
          {"steps", Names(sim::kStepNames)}};
}

}  // namespace tvm_vsq::runtime
