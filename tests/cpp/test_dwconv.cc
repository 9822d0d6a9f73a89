// The kernels of depthwise convolutions, and what unpacks their weights, compute the same, on any processor
// and in either width.
#include <algorithm>
#include <random>
#include <vector>

#include "tests/cpp/testing.h"
#include "tvm_vsq/sim/dwconv_kernel.h"
#include "tvm_vsq/sim/dwconv_scaled.h"
#include "tvm_vsq/sim/dwconv_taps.h"

namespace tvm_vsq {
namespace {

constexpr size_t kEntries = 64, kAccEntries = 64;

struct Operands {
  std::vector<uint8_t> codes;
  std::vector<int32_t> scales, weights;

  template <typename Acc>
  sim::DwconvRow<Acc> Row(std::vector<Acc>* acc) const {
    sim::DwconvRow<Acc> row{};
    row.codes = codes.data();
    row.scales = scales.data();
    row.weights = weights.data();
    row.acc = acc->data();
    return row;
  }
};

template <typename Acc, typename Shape>
std::vector<Acc> Run(const Operands& operands, sim::Simd simd, const Shape& shape, size_t* done) {
  std::vector<Acc> acc(kAccEntries * 64, Acc{-1});
  sim::DwconvRow<Acc> row = operands.Row(&acc);
  shape(&row);
  *done = sim::SelectDwconvKernel<Acc>(simd)(row);
  return acc;
}

void TestAllKernelsAgree() {
  std::mt19937 random(1);
  const auto draw = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  for (int round = 0; round < 400; ++round) {
    const size_t lanes = size_t{4} << draw(0, 4), size = size_t{8} << draw(0, 3);
    const size_t blocks = std::max<size_t>(1, size / lanes);
    const auto tap_rows = static_cast<size_t>(draw(1, 5)), tap_columns = static_cast<size_t>(draw(1, 5));
    const auto outputs = static_cast<size_t>(draw(1, 11)), step = std::max<size_t>(1, lanes / size);
    const bool is_limited = draw(0, 3) == 0;
    Operands operands;
    operands.codes.resize(kEntries * step * size * 2);
    operands.scales.resize(kEntries * step * 2);
    operands.weights.resize(tap_rows * tap_columns * lanes);
    for (uint8_t& code : operands.codes) code = static_cast<uint8_t>(draw(0, 255));
    for (int32_t& scale : operands.scales) scale = draw(1, 1023);
    for (int32_t& weight : operands.weights) weight = draw(-127, 127);
    const auto shape = [&](auto* row) {
      row->bias = 128;
      row->vector_size = size;
      row->lanes = lanes;
      row->inp = 1;
      row->first_lane = blocks > 1 ? lanes * (static_cast<size_t>(round) % blocks) : 0;
      row->tap_rows = tap_rows;
      row->tap_columns = tap_columns;
      row->row_step = 5 * step;
      row->column_step = step;
      row->outputs = outputs;
      row->inp_step = 2 * step;
      row->acc_step = 2 * lanes;
      row->limit = is_limited ? int64_t{1} << 24 : 0;
    };
    size_t expected_done = 0, done = 0;
    const auto expected = Run<int64_t>(operands, sim::Simd::kPortable, shape, &expected_done);
    for (const sim::Simd simd : sim::SupportedSimd()) {
      const auto found = Run<int32_t>(operands, simd, shape, &done);
      CHECK_EQ(done, expected_done);
      CHECK_EQ(std::equal(expected.begin(), expected.begin() + static_cast<int64_t>(done * 2 * lanes),
                          found.begin()),
               true);
    }
  }
}

// With inputs that are multiplied by their scales first.
void TestScaledInputs() {
  std::mt19937 random(3);
  const auto draw = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  for (int round = 0; round < 400; ++round) {
    const size_t size = size_t{8} << draw(0, 3), lanes = std::min(size, size_t{4} << draw(0, 4));
    const size_t slices = size / lanes;
    const auto tap_rows = static_cast<size_t>(draw(1, 5)), tap_columns = static_cast<size_t>(draw(1, 5));
    const auto outputs = static_cast<size_t>(draw(1, 19)), stride = static_cast<size_t>(draw(1, 2));
    const auto step = static_cast<size_t>(draw(1, 3)), first = static_cast<size_t>(draw(0, 2));
    const size_t width = (outputs - 1) * stride + tap_columns, count = tap_rows * width;
    Operands operands;
    operands.codes.resize((first + count * step) * size);
    operands.scales.resize(first + count * step);
    operands.weights.resize(tap_rows * tap_columns * lanes);
    for (uint8_t& code : operands.codes) code = static_cast<uint8_t>(draw(0, 255));
    for (int32_t& scale : operands.scales) scale = draw(0, 1023);
    for (int32_t& weight : operands.weights) weight = draw(-127, 127);
    std::vector<int32_t> acc((outputs + 1) * 2 * lanes, -1);
    sim::DwconvRow<int32_t> row = operands.Row(&acc);
    row.bias = 128;
    row.vector_size = size;
    row.lanes = lanes;
    row.inp = first;
    row.first_lane = static_cast<size_t>(draw(0, static_cast<int>(slices) - 1)) * lanes;
    row.tap_rows = tap_rows;
    row.tap_columns = tap_columns;
    row.row_step = width * step;
    row.column_step = step;
    row.outputs = outputs;
    row.inp_step = stride * step;
    row.acc_step = 2 * lanes;
    sim::SelectDwconvKernel<int32_t>(sim::Simd::kPortable)(row);
    for (const sim::Simd simd : sim::SupportedSimd()) {
      const sim::ScaledDwconv* scaled = sim::SelectScaledDwconv(size, lanes, simd);
      if (scaled == nullptr) continue;
      std::vector<int32_t> inputs(count * lanes), found(acc.size(), -1);
      scaled->scale({operands.codes.data(), operands.scales.data(), row.bias, size, lanes, first, step, count,
                     row.first_lane},
                    inputs.data());
      scaled->run({inputs.data(), lanes, tap_rows, tap_columns, width, operands.weights.data(), outputs,
                   stride, row.acc_step, found.data()});
      CHECK_EQ(found == acc, true);
    }
  }
}

// Tap t of a run is element t % V of the run's entry t / V.
void TestWeights() {
  std::mt19937 random(2);
  const auto draw = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  for (int round = 0; round < 400; ++round) {
    const size_t lanes = size_t{4} << draw(0, 4), size = size_t{8} << draw(0, 3);
    const auto runs = static_cast<size_t>(draw(1, 5)), run = static_cast<size_t>(draw(1, 40));
    const size_t entries = (run + size - 1) / size, first = static_cast<size_t>(draw(0, 3));
    std::vector<int8_t> elements((first + runs * entries) * size * lanes);
    std::vector<int32_t> scales((first + runs * entries) * lanes);
    for (int8_t& element : elements) element = static_cast<int8_t>(draw(-128, 127));
    for (int32_t& scale : scales) scale = draw(0, 1023);
    std::vector<int32_t> expected;
    for (size_t t = 0; t < runs * run; ++t) {
      const size_t entry = first + t / run * entries + t % run / size, element = t % run % size;
      for (size_t lane = 0; lane < lanes; ++lane) {
        const size_t at = ((entry * (size / 4) + element / 4) * lanes + lane) * 4 + element % 4;
        expected.push_back(elements[at] * scales[entry * lanes + lane]);
      }
    }
    const sim::DwconvTaps taps{elements.data(), scales.data(), size, lanes, first, runs * run, run};
    for (const sim::Simd simd : sim::SupportedSimd()) {
      std::vector<int32_t> found(expected.size() + 1, -1);  // one more, which stays
      sim::SelectUnpackTaps(lanes, simd)(taps, found.data());
      CHECK_EQ(found.back(), -1);
      found.pop_back();
      CHECK_EQ(found == expected, true);
    }
  }
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestScaledInputs();
  tvm_vsq::TestWeights();
  tvm_vsq::TestAllKernelsAgree();
  return tvm_vsq::testing::Result();
}
