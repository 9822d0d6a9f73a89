// What the three fuzz targets share.
#ifndef TESTS_CPP_FUZZ_TARGET_H_
#define TESTS_CPP_FUZZ_TARGET_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tvm_vsq/sim/bytes.h"
#include "tvm_vsq/sim/params.h"

// libFuzzer's interface; driver.cc implements it for compilers without libFuzzer.
extern "C" {
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);
}

namespace tvm_vsq::fuzz {

// How many inputs passed all checks; the driver reports it.
inline uint64_t accepted = 0;

// A property that must hold whatever the input.
inline void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

// Reads front to back; zeros behind the end.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  uint64_t Integer(size_t bytes) {
    uint8_t value[8] = {};
    for (size_t i = 0; i < bytes && size_ > 0; ++i, ++data_, --size_) value[i] = *data_;
    return sim::ReadLittleEndian(value, bytes);
  }
  std::string_view Rest() const { return {reinterpret_cast<const char*>(data_), size_}; }

 private:
  const uint8_t* data_;
  size_t size_;
};

// Small accelerators of different formats and sizes, made by make_seeds.py.
inline const std::vector<sim::Params>& Configs() {
  static const std::vector<sim::Params> configs = [] {
    const std::vector<std::map<std::string, int64_t>> values = {
#include "tests/cpp/fuzz/configs.inc"
    };
    std::vector<sim::Params> parsed;
    for (const auto& config : values) parsed.push_back(sim::ParseParams(config));
    return parsed;
  }();
  return configs;
}

}  // namespace tvm_vsq::fuzz

#endif  // TESTS_CPP_FUZZ_TARGET_H_
