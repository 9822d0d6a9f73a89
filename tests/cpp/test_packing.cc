// Every format, unpacked and packed with every instruction set, against the bit string read bit by bit.
#include "tvm_vsq/sim/packing.h"

#include <sys/mman.h>
#include <unistd.h>

#include <random>
#include <vector>

#include "tests/cpp/bit_string.h"
#include "tests/cpp/testing.h"

namespace tvm_vsq {
namespace {

// Records in front of a page that must not be touched: vector loads escape the address sanitizer.
class Guarded {
 public:
  explicit Guarded(const std::vector<uint8_t>& bytes) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    size_ = (bytes.size() + page - 1) / page * page + page;
    base_ = static_cast<uint8_t*>(
        mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(base_ + size_ - page, page, PROT_NONE);
    data_ = base_ + size_ - page - bytes.size();
    std::copy(bytes.begin(), bytes.end(), data_);
  }
  ~Guarded() { munmap(base_, size_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  uint8_t* data() const { return data_; }

 private:
  uint8_t *base_, *data_;
  size_t size_;
};

std::vector<uint8_t> RandomBytes(int size, std::mt19937* random) {
  std::vector<uint8_t> bytes(static_cast<size_t>(size));
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>((*random)());
  return bytes;
}

template <typename Body>
void ForEachPacking(Body body) {
  for (const int size : {8, 16, 32, 64}) {
    for (int bits = 2; bits <= 8; ++bits) {
      for (int scale_bits = 0; scale_bits <= 10; ++scale_bits) body(sim::Packing{size, bits, scale_bits});
    }
  }
}

int ScaleAt(const sim::Packing& packing, const uint8_t* record, int at) {
  return packing.scale_bits == 0 ? 1 : testing::GetBits(record, at, packing.scale_bits);
}

void TestVectors() {
  std::mt19937 random(1);
  ForEachPacking([&](const sim::Packing& packing) {
    const int size = packing.vector_size, bits = packing.element_bits;
    const int record_bytes = (packing.VectorBits() + 7) / 8;
    for (const int count : {1, 2, 7, 17}) {
      const std::vector<uint8_t> bytes = RandomBytes(count * record_bytes, &random);
      const Guarded records(bytes);
      const auto n = static_cast<size_t>(count), elements = static_cast<size_t>(count * size);
      std::vector<uint8_t> expected(elements), expected_biased(elements), packed;
      std::vector<int32_t> expected_scales(n);
      for (int r = 0; r < count; ++r) {
        const uint8_t* record = records.data() + r * record_bytes;
        testing::BitString again;
        for (int i = 0; i < size; ++i) {
          const int code = testing::GetBits(record, i * bits, bits), at = r * size + i;
          expected[static_cast<size_t>(at)] = static_cast<uint8_t>(code);
          expected_biased[static_cast<size_t>(at)] =
              static_cast<uint8_t>(testing::SignExtend(code, bits) + (1 << (bits - 1)));
          again.Put(code, bits);
        }
        expected_scales[static_cast<size_t>(r)] = ScaleAt(packing, record, size * bits);
        again.Put(expected_scales[static_cast<size_t>(r)], packing.scale_bits);
        packed.insert(packed.end(), again.bytes().begin(), again.bytes().end());
      }
      for (const sim::Simd simd : sim::SupportedSimd()) {
        // Nothing behind the last vector is written.
        expected.resize(elements + 64, 0xa5);
        expected_biased.resize(elements + 64, 0xa5);
        expected_scales.resize(n + 16, -1);
        std::vector<uint8_t> codes(elements + 64, 0xa5), biased(elements + 64, 0xa5);
        std::vector<int32_t> scales(n + 16, -1);
        sim::MakeVectorDecoder(packing, simd)
            ->Decode(records.data(), n, codes.data(), biased.data(), scales.data());
        CHECK_EQ(codes == expected, true);
        CHECK_EQ(biased == expected_biased, true);
        CHECK_EQ(scales == expected_scales, true);
        const Guarded written(bytes);
        sim::SelectVectorEncoder(packing, simd)(packing, expected.data(), expected_scales.data(), n,
                                                written.data());
        CHECK_EQ(std::equal(packed.begin(), packed.end(), written.data()), true);
      }
    }
  });
}

void TestWeights() {
  std::mt19937 random(2);
  ForEachPacking([&](const sim::Packing& packing) {
    for (const int lanes : {4, 8, 16, 32, 64}) {
      const int size = packing.vector_size, bits = packing.element_bits, count = 3;
      const int record_bytes = (lanes * packing.VectorBits() + 7) / 8;
      const Guarded records(RandomBytes(count * record_bytes, &random));
      const auto vectors = static_cast<size_t>(count * lanes);
      std::vector<int8_t> expected(vectors * static_cast<size_t>(size));
      std::vector<int32_t> expected_scales(vectors), expected_sums(vectors);
      for (int v = 0; v < count * lanes; ++v) {
        const uint8_t* record = records.data() + v / lanes * record_bytes;
        const int at = v % lanes * packing.VectorBits();
        for (int i = 0; i < size; ++i) {
          const int value = testing::SignExtend(testing::GetBits(record, at + i * bits, bits), bits);
          const int place = v / lanes * lanes * size + (i / 4 * lanes + v % lanes) * 4 + i % 4;
          expected[static_cast<size_t>(place)] = static_cast<int8_t>(value);
          expected_sums[static_cast<size_t>(v)] += value;
        }
        expected_scales[static_cast<size_t>(v)] = ScaleAt(packing, record, at + size * bits);
      }
      for (const sim::Simd simd : sim::SupportedSimd()) {
        std::vector<int8_t> elements(expected.size());
        std::vector<int32_t> scales(vectors), sums(vectors);
        sim::MakeWeightDecoder(packing, lanes, simd)
            ->Decode(records.data(), count, elements.data(), scales.data(), sums.data());
        CHECK_EQ(elements == expected, true);
        CHECK_EQ(scales == expected_scales, true);
        CHECK_EQ(sums == expected_sums, true);
      }
    }
  });
}

}  // namespace
}  // namespace tvm_vsq

int main() {
  tvm_vsq::TestVectors();
  tvm_vsq::TestWeights();
  return tvm_vsq::testing::Result();
}
