// The body of the x86 kernels. Each of their files defines TVM_VSQ_TARGET, the processor that its functions
// are for, and a class `Vector` of operations on 32-bit lanes, then includes this, so that the rest of the
// library stays portable. No include guard is needed: a file includes it once.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "tvm_vsq/sim/gemm_kernel.h"

namespace tvm_vsq::sim {
namespace {

// Pixels that are worked on together, for one group of lanes: their accumulators stay in registers.
template <int kPixels>
struct Block {
  const uint8_t* inp[kPixels];
  const int32_t* inp_scale[kPixels];
  int32_t* acc[kPixels];
};

template <int kQuads, Scaling kScaling, int kPixels>
TVM_VSQ_TARGET inline void RunBlock(const GemmFormat& format, const GemmOperands& g,
                                    const GemmPlan::Step* steps, const GemmPlan::Tile& tile, size_t lane,
                                    const Block<kPixels>& block, size_t valid) {
  using Register = typename Vector::Register;
  const auto lanes = static_cast<size_t>(format.output_lanes);
  const Register bias = Vector::Broadcast(-format.inp_bias);
  const Register half = Vector::Broadcast(format.product_shift > 0 ? 1 << (format.product_shift - 1) : 0);
  const Register product_max = Vector::Broadcast(format.product_max);
  Register acc[kPixels];
#pragma GCC unroll 8
  for (int p = 0; p < kPixels; ++p) acc[p] = Vector::Load(block.acc[p]);
  Register correction = Vector::Broadcast(0);
  for (size_t s = 0; s < tile.steps; ++s) {
    const size_t wgt = tile.wgt + steps[s].wgt, inp = steps[s].inp;
    const int8_t* w = g.wgt + (wgt * 4 * kQuads * lanes + 4 * lane);
    Register weights[kQuads];
#pragma GCC unroll 16
    for (int q = 0; q < kQuads; ++q) weights[q] = Vector::Load(w + static_cast<size_t>(q) * 4 * lanes);
    const Register scale = Vector::Load(g.wgt_scale + wgt * lanes + lane);
    const Register unbias = Vector::Multiply(Vector::Load(g.wgt_sum + wgt * lanes + lane), bias);
    if (kScaling == Scaling::kNone) correction = Vector::Add(correction, unbias);
#pragma GCC unroll 8
    for (int p = 0; p < kPixels; ++p) {
      const uint8_t* x = block.inp[p] + inp * 4 * kQuads;
      Register dot = kScaling == Scaling::kNone ? acc[p] : unbias;
#pragma GCC unroll 16
      for (int q = 0; q < kQuads; ++q)
        dot = Vector::AddDot(dot, Vector::BroadcastFour(x + 4 * q), weights[q]);
      if (kScaling == Scaling::kNone) {
        acc[p] = dot;
        continue;
      }
      Register product = Vector::MultiplyShort(scale, Vector::Broadcast(block.inp_scale[p][inp]));
      if (kScaling == Scaling::kNarrowRounded || kScaling == Scaling::kWide) {
        product =
            Vector::Min(Vector::ShiftRight(Vector::Add(product, half), format.product_shift), product_max);
      }
      acc[p] = kScaling == Scaling::kWide ? Vector::Add(acc[p], Vector::Multiply(dot, product))
                                          : Vector::AddMultiplyShort(acc[p], dot, product);
    }
  }
#pragma GCC unroll 8
  for (int p = 0; p < kPixels; ++p) {
    if (static_cast<size_t>(p) < valid) Vector::Store(block.acc[p], Vector::Add(acc[p], correction));
  }
}

// The last pixel fills a block of which only the first `valid` count.
template <int kQuads, Scaling kScaling, int kPixels>
TVM_VSQ_TARGET void RunPixels(const GemmFormat& format, const GemmOperands& g, const GemmPlan& plan,
                              const GemmPlan::Tile& tile, size_t begin, size_t valid) {
  const auto lanes = static_cast<size_t>(format.output_lanes);
  Block<kPixels> block;
#pragma GCC unroll 1  // GCC 12 makes slow vector code of it otherwise
  for (size_t p = 0; p < kPixels; ++p) {
    const GemmPlan::Pixel& pixel = plan.pixels[tile.first_pixel + begin + std::min(p, valid - 1)];
    const size_t inp = tile.inp + pixel.inp;
    block.inp[p] = g.inp + inp * 4 * kQuads;
    block.inp_scale[p] = g.inp_scale + inp;
    block.acc[p] = g.acc + size_t{tile.acc + pixel.acc} * lanes;
  }
  for (size_t lane = 0; lane < lanes; lane += Vector::kLanes) {
    RunBlock<kQuads, kScaling>(format, g, &plan.steps[tile.first_step], tile, lane, block, valid);
    for (int32_t*& acc : block.acc) acc += Vector::kLanes;
  }
}

template <int kQuads, Scaling kScaling>
void RunTile(const GemmFormat& format, const GemmOperands& g, const GemmPlan& plan,
             const GemmPlan::Tile& tile, size_t begin, size_t end) {
  while (begin < end) {
    const size_t left = end - begin;
    if (left > 4) {
      RunPixels<kQuads, kScaling, 8>(format, g, plan, tile, begin, std::min<size_t>(left, 8));
      begin += 8;
    } else if (left > 1) {
      RunPixels<kQuads, kScaling, 4>(format, g, plan, tile, begin, left);
      begin += 4;
    } else {
      RunPixels<kQuads, kScaling, 1>(format, g, plan, tile, begin, 1);
      begin += 1;
    }
  }
}

template <int kQuads>
void RunSize(const GemmFormat& format, const GemmOperands& g, const GemmPlan& plan,
             const GemmPlan::Tile& tile, size_t begin, size_t end) {
  switch (format.scaling) {
    case Scaling::kNone:
      return RunTile<kQuads, Scaling::kNone>(format, g, plan, tile, begin, end);
    case Scaling::kNarrow:
      return RunTile<kQuads, Scaling::kNarrow>(format, g, plan, tile, begin, end);
    case Scaling::kNarrowRounded:
      return RunTile<kQuads, Scaling::kNarrowRounded>(format, g, plan, tile, begin, end);
    case Scaling::kWide:
      return RunTile<kQuads, Scaling::kWide>(format, g, plan, tile, begin, end);
  }
}

void Run(const GemmFormat& format, const GemmOperands& g, const GemmPlan& plan, const GemmPlan::Tile& tile,
         size_t begin, size_t end) {
  switch (format.vector_size) {
    case 8:
      return RunSize<2>(format, g, plan, tile, begin, end);
    case 16:
      return RunSize<4>(format, g, plan, tile, begin, end);
    case 32:
      return RunSize<8>(format, g, plan, tile, begin, end);
    default:
      return RunSize<16>(format, g, plan, tile, begin, end);
  }
}

}  // namespace
}  // namespace tvm_vsq::sim
