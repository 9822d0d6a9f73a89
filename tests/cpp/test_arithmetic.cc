// Rounding, post-processing and requantization against numbers worked out by hand.
#include <limits>
#include <vector>

#include "tests/cpp/programs.h"
#include "tests/cpp/rounding.h"
#include "tests/cpp/testing.h"
#include "tvm_vsq/sim/ppu.h"
#include "tvm_vsq/sim/requantize.h"
#include "tvm_vsq/sim/rounding.h"

namespace tvm_vsq {
namespace {

constexpr int32_t kMax = std::numeric_limits<int32_t>::max(), kMin = std::numeric_limits<int32_t>::min();

void TestRounding() {
  // 2.5 -> 3, -2.5 -> -2, 2.25 -> 2, -2.75 -> -3.
  CHECK_EQ(testing::RoundHalfUp(5, 2), 3);
  CHECK_EQ(testing::RoundHalfUp(-5, 2), -2);
  CHECK_EQ(testing::RoundHalfUp(9, 4), 2);
  CHECK_EQ(testing::RoundHalfUp(-11, 4), -3);
  CHECK_EQ(testing::RoundHalfUp(7, 3), 2);
  CHECK_EQ(testing::RoundHalfUp(-7, 1), -7);
  CHECK_EQ(sim::RoundHalfUpShift(-7, 0), -7);
  CHECK_EQ(sim::RoundHalfUpShift(int64_t{1} << 61, 62), 1);
  CHECK_EQ(sim::RoundHalfUpShift(-(int64_t{1} << 61), 62), 0);
  for (int64_t n = -100; n <= 100; ++n) {
    for (int shift = 0; shift < 6; ++shift) {
      CHECK_EQ(sim::RoundHalfUpShift(n, shift), testing::RoundHalfUp(n, int64_t{1} << shift));
    }
  }
}

// Where the quotient by a reciprocal would be wrong first: beside the multiples of the divisor.
void TestFloorDivBy() {
  for (int32_t d = 1; d < 1 << 18; d += d < 2000 ? 1 : 997) {
    const double reciprocal = 1.0 / d;
    for (const int32_t limit : {1 << 9, 1 << 18, kMax}) {
      const int32_t multiple = (limit - 1) / d * d;
      CHECK_EQ(sim::FloorDivBy(multiple, reciprocal), multiple / d);
      if (multiple > 0) CHECK_EQ(sim::FloorDivBy(multiple - 1, reciprocal), multiple / d - 1);
      if (d > 1) CHECK_EQ(sim::FloorDivBy(multiple + 1, reciprocal), multiple / d);
    }
  }
}

void TestPostProcess() {
  // (1000 * 3 + 4) >> 3 = 375; + bias - residual.
  CHECK_EQ(sim::PostProcess(1000, {3, 3, false, 10, kMax}, -5, false), 380);
  CHECK_EQ(sim::PostProcess(-1000, {3, 3, false, 10, kMax}, 0, false), -365);
  CHECK_EQ(sim::PostProcess(-1000, {3, 3, false, 10, kMax}, 0, true), 0);
  CHECK_EQ(sim::PostProcess(1000, {3, 3, false, 10, 100}, 0, true), 100);
  // (-1001 * 3 + 4) >> 3 = -375, half up: the sign is of the number that is multiplied.
  CHECK_EQ(sim::PostProcess(1001, {3, 3, true, 10, kMax}, -5, false), -370);
  const int64_t largest = (int64_t{1} << 45) - 1;
  CHECK_EQ(sim::PostProcess(largest, {65535, 0, false, kMax, kMax}, 0, false), kMax);
  CHECK_EQ(sim::PostProcess(-largest, {65535, 0, false, kMin, kMax}, 0, false), kMin);
  CHECK_EQ(sim::PostProcess(largest, {65535, 62, false, 0, kMax}, 0, false),
           0);  // 2^61 * (1 - 2^-16) / 2^62 < 1/2
}

void CheckVector(const sim::VectorFormat& format, const std::vector<int32_t>& y, int32_t scale,
                 const std::vector<int16_t>& elements) {
  std::vector<uint8_t> codes(y.size());
  CHECK_EQ(sim::Requantize(format, y.data(), static_cast<int>(y.size()), codes.data()), scale);
  for (size_t i = 0; i < y.size(); ++i)
    CHECK_EQ(codes[i], static_cast<uint32_t>(int32_t{elements[i]}) & format.code_mask);
}

void TestRequantize() {
  sim::Params params =
      testing::Small();  // 4-bit elements and scales, 2 guard bits: q_max << g = 28 signed, 60 unsigned
  const sim::VectorFormat as_signed(params, false), as_unsigned(params, true);
  CheckVector(as_signed, {0, 0, 0, 0}, 1, {0, 0, 0, 0});
  CheckVector(as_signed, {28, -28, 2, -2}, 1, {7, -7, 1, 0});     // step 4; 0.5 -> 1, -0.5 -> 0
  CheckVector(as_signed, {29, -29, 4, -12}, 2, {4, -4, 1, -1});   // step 8; 3.625, -3.625, 0.5, -1.5
  CheckVector(as_signed, {420, -421, 60, 0}, 15, {7, -7, 1, 0});  // the largest scale; step 60
  CheckVector(as_signed, {kMax, kMin, 0, 0}, 15, {7, -7, 0, 0});
  CheckVector(as_unsigned, {60, -60, 30, 1}, 1, {15, 0, 8, 0});
  CheckVector(as_unsigned, {61, 4, 3, 0}, 2, {8, 1, 0, 0});
  params.activation_scale_bits = 0;
  CheckVector(sim::VectorFormat(params, false), {1000, -6, 5, 0}, 1, {7, -1, 1, 0});
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestRounding();
  tvm_vsq::TestFloorDivBy();
  tvm_vsq::TestPostProcess();
  tvm_vsq::TestRequantize();
  return tvm_vsq::testing::Result();
}
