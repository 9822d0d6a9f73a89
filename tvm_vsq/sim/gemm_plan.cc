#include "tvm_vsq/sim/gemm_plan.h"

#include <algorithm>
#include <map>
#include <utility>

#include "tvm_vsq/sim/instructions/gemm.h"
#include "tvm_vsq/sim/poll.h"

namespace tvm_vsq::sim {
namespace {

// Larger plans would cost more memory than they save time.
constexpr uint64_t kMaxPlanItems = uint64_t{1} << 20;

struct Loop {
  uint32_t count, acc, inp, wgt;
};

// Micro-ops that accumulate the same weights in the same pattern of inputs, for several accumulators.
struct Group {
  std::vector<GemmPlan::Pixel> pixels;
  std::vector<GemmPlan::Step> steps;
};

std::vector<Group> GroupUops(const Uop* uops, size_t count) {
  std::map<uint32_t, std::vector<GemmPlan::Step>> outputs;  // by accumulator
  for (size_t u = 0; u < count; ++u) {
    CountWork(64);
    outputs[uops[u].acc].push_back({uops[u].inp, uops[u].wgt});
  }
  std::map<std::vector<GemmPlan::Step>, size_t> index;
  std::vector<Group> groups;
  for (auto& [acc, steps] : outputs) {
    CountWork(32 * steps.size());
    const uint32_t base = std::min_element(steps.begin(), steps.end())->inp;
    for (GemmPlan::Step& step : steps) step.inp -= base;
    const auto [found, is_new] = index.emplace(steps, groups.size());
    if (is_new) groups.push_back({{}, steps});
    groups[found->second].pixels.push_back({acc, base});
  }
  return groups;
}

// Appends `count` - 1 moved copies of what `items` holds from `first` on.
template <typename Item, typename Move>
void Repeat(std::vector<Item>* items, size_t first, uint32_t count, Move move) {
  const size_t end = items->size();
  CountWork((end - first) * count);
  for (uint32_t k = 1; k < count; ++k) {
    for (size_t i = first; i < end; ++i) items->push_back(move((*items)[i], k));
  }
}

// What AddTiles would add.
uint64_t CountItems(const Group& group, const Loop (&loops)[2]) {
  uint64_t pixels = group.pixels.size(), steps = group.steps.size(), tiles = 1;
  for (const Loop& loop : loops) (loop.acc == 0 ? steps : loop.wgt == 0 ? pixels : tiles) *= loop.count;
  return pixels + steps + tiles;
}

// A loop that leaves acc alone makes more steps, one that leaves the weights alone more pixels, any other
// more tiles.
void AddTiles(const Group& group, const Loop (&loops)[2], GemmPlan* plan) {
  const size_t pixel = plan->pixels.size(), step = plan->steps.size(), tile = plan->tiles.size();
  plan->pixels.insert(plan->pixels.end(), group.pixels.begin(), group.pixels.end());
  plan->steps.insert(plan->steps.end(), group.steps.begin(), group.steps.end());
  plan->tiles.push_back({0, 0, 0, pixel, 0, step, 0});
  for (const Loop& loop : loops) {
    if (loop.acc == 0) {
      Repeat(&plan->steps, step, loop.count, [&](GemmPlan::Step s, uint32_t k) {
        return GemmPlan::Step{s.inp + k * loop.inp, s.wgt + k * loop.wgt};
      });
    } else if (loop.wgt == 0) {
      Repeat(&plan->pixels, pixel, loop.count, [&](GemmPlan::Pixel p, uint32_t k) {
        return GemmPlan::Pixel{p.acc + k * loop.acc, p.inp + k * loop.inp};
      });
    } else {
      Repeat(&plan->tiles, tile, loop.count, [&](GemmPlan::Tile t, uint32_t k) {
        t.acc += k * loop.acc;
        t.inp += k * loop.inp;
        t.wgt += k * loop.wgt;
        return t;
      });
    }
  }
  for (size_t t = tile; t < plan->tiles.size(); ++t) {
    plan->tiles[t].pixels = plan->pixels.size() - pixel;
    plan->tiles[t].steps = plan->steps.size() - step;
  }
}

bool AccumulatorsDiffer(const GemmPlan& plan, size_t acc_depth) {
  std::vector<bool> used(acc_depth);
  for (const GemmPlan::Tile& tile : plan.tiles) {
    CountWork(tile.pixels);
    for (size_t p = tile.first_pixel; p < tile.first_pixel + tile.pixels; ++p) {
      auto entry = used[tile.acc + plan.pixels[p].acc];
      if (entry) return false;
      entry = true;
    }
  }
  return true;
}

// With their memory (`= {}` would keep it): a program may have many plans.
void DropTiles(GemmPlan* plan) {
  plan->pixels = std::vector<GemmPlan::Pixel>();
  plan->steps = std::vector<GemmPlan::Step>();
  plan->tiles = std::vector<GemmPlan::Tile>();
}

}  // namespace

uint64_t GemmPlan::Bytes() const {
  return MicroOpPlan::Bytes() + pixels.capacity() * sizeof(Pixel) + steps.capacity() * sizeof(Step) +
         tiles.capacity() * sizeof(Tile);
}

GemmPlan MakeGemmPlan(const Params& params, const isa::Gemm& gemm, const Uop* uops) {
  GemmPlan plan;
  FillPlan(params, Declared<isa::Gemm>::Loops(params, gemm), uops, &plan);
  if (gemm.reset) return plan;
  const Loop loops[] = {{gemm.iter_in, gemm.acc_in, gemm.inp_in, gemm.wgt_in},
                        {gemm.iter_out, gemm.acc_out, gemm.inp_out, gemm.wgt_out}};
  const std::vector<Group> groups = GroupUops(uops, gemm.uop_count);
  for (const Group& group : groups) {
    if (plan.pixels.size() + plan.steps.size() + plan.tiles.size() + CountItems(group, loops) >
        kMaxPlanItems) {
      DropTiles(&plan);
      return plan;
    }
    AddTiles(group, loops, &plan);
  }
  if (!AccumulatorsDiffer(plan, static_cast<size_t>(params.acc_depth))) DropTiles(&plan);
  return plan;
}

}  // namespace tvm_vsq::sim
