// Fuzzing where the compiler has no libFuzzer: every file of a folder of seeds, then mutations of them, the
// same ones in every run. Usage: fuzz_x <folder> <mutations>. The last input is in fuzz_x.input when the
// process dies.
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/cpp/fuzz/target.h"

extern "C" __attribute__((weak)) size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                                                unsigned int seed);

namespace {

constexpr size_t kMaxBytes = 1 << 16;

std::mt19937 random_bits(7);

size_t Draw(size_t below) { return random_bits() % below; }

// Integers of 1 to 8 bytes, little-endian, somewhere.
void ChangeInteger(std::string* bytes) {
  const size_t width = std::min(bytes->size(), size_t{1} << Draw(4)), at = Draw(bytes->size() - width + 1);
  auto* place = reinterpret_cast<uint8_t*>(bytes->data()) + at;
  const uint64_t old = tvm_vsq::sim::ReadLittleEndian(place, width);
  const uint64_t values[] = {
      0, old + 1, old - 1, old ^ uint64_t{1} << Draw(8 * width), ~uint64_t{0}, random_bits()};
  tvm_vsq::sim::WriteLittleEndian(place, width, values[Draw(std::size(values))]);
}

std::vector<std::string> ReadSeeds(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> seeds;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return seeds;
}

// Keeps the input on disk, then runs it.
class Tester {
 public:
  explicit Tester(std::string path) : path_(std::move(path)), file_(path_, std::ios::binary) {}

  void Test(const std::string& bytes) {
    file_.seekp(0) << bytes << std::flush;
    std::filesystem::resize_file(path_, bytes.size());
    // An exact allocation, so that the address sanitizer sees a read behind the input.
    const std::vector<uint8_t> copy(bytes.begin(), bytes.end());
    LLVMFuzzerTestOneInput(copy.data(), copy.size());
  }

 private:
  const std::string path_;
  std::ofstream file_;
};

std::string Mutated(std::string bytes) {
  const size_t size = bytes.size();
  bytes.resize(kMaxBytes);
  auto* data = reinterpret_cast<uint8_t*>(bytes.data());
  bytes.resize(LLVMFuzzerCustomMutator != nullptr
                   ? LLVMFuzzerCustomMutator(data, size, kMaxBytes, random_bits())
                   : LLVMFuzzerMutate(data, size, kMaxBytes));
  return bytes;
}

}  // namespace

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  const size_t kind = bytes.empty() ? 0 : Draw(8);
  if (kind == 0) {
    bytes.insert(Draw(bytes.size() + 1), std::string(1 + Draw(16), static_cast<char>(random_bits())));
  } else if (kind == 1) {
    bytes.erase(Draw(bytes.size()), 1 + Draw(16));
  } else if (kind == 2) {
    const std::string piece = bytes.substr(Draw(bytes.size()), 1 + Draw(64));
    bytes.insert(Draw(bytes.size() + 1), piece);
  } else {
    ChangeInteger(&bytes);
  }
  bytes.resize(std::min(bytes.size(), max_size));
  std::memcpy(data, bytes.data(), bytes.size());
  return bytes.size();
}

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: " << argv[0] << " <folder of seeds> <mutations>\n";
    return 2;
  }
  const std::string name = std::filesystem::path(argv[0]).filename().string();
  const std::vector<std::string> seeds = ReadSeeds(argv[1]);
  if (seeds.empty()) {
    std::cerr << argv[1] << " holds no seeds\n";
    return 2;
  }
  const auto runs = static_cast<size_t>(std::stoul(argv[2]));
  Tester tester(name + ".input");
  for (const std::string& seed : seeds) tester.Test(seed);
  for (size_t run = 0; run < runs; ++run) {
    std::string bytes = seeds[Draw(seeds.size())];
    for (size_t left = 1 + Draw(3); left > 0; --left) bytes = Mutated(std::move(bytes));
    tester.Test(bytes);
  }
  const uint64_t accepted = tvm_vsq::fuzz::accepted;
  std::cout << name << ": " << seeds.size() << " seeds, " << runs << " mutations, " << accepted
            << " accepted\n";
  // Seeds that are all refused, or refuse nothing, would test nothing.
  return accepted > 0 && accepted < seeds.size() + runs ? 0 : 1;
}
