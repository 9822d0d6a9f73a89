// A program and its memory: refused, or computed without undefined behaviour and twice the same.
#include <algorithm>
#include <cstring>
#include <random>
#include <string>

#include "tests/cpp/fuzz/program_input.h"
#include "tests/cpp/fuzz/simulator.h"
#include "tests/cpp/fuzz/target.h"

namespace tvm_vsq::fuzz {
namespace {

std::string CodeOf(const ProgramInput& input) {
  std::string code(input.words.size() * isa::kInstructionBytes, '\0');
  auto* bytes = reinterpret_cast<uint8_t*>(code.data());
  for (const isa::Word& word : input.words) {
    for (const uint64_t part : word.parts) {
      sim::WriteLittleEndian(bytes, 8, part);
      bytes += 8;
    }
  }
  return code;
}

std::string LayerIdsOf(const ProgramInput& input) {
  std::string ids(input.layers.size() * 4, '\0');
  for (size_t i = 0; i < input.layers.size(); ++i) ids[4 * i] = static_cast<char>(input.layers[i]);
  return ids;
}

// The message of the error, or "".
std::string RunOn(const Accepted& accepted, int threads, sim::Machine* machine, std::vector<uint8_t>* dram) {
  try {
    Run(accepted, threads, machine, dram);
  } catch (const sim::Error& error) {
    return error.what();
  }
  return "";
}

void TestProgram(const ProgramInput& input) {
  const sim::Params& params = Configs()[input.config];
  Accepted program;
  try {
    const std::string image(input.image.begin(), input.image.end());
    program = Accept(params, CodeOf(input), LayerIdsOf(input), {"conv1", "conv2"}, input.dram_bytes, image);
  } catch (const sim::Error&) {
    return;
  }
  std::vector<uint8_t> first = input.image;
  first.resize(input.dram_bytes);
  std::vector<uint8_t> second = first;
  // The second run finds the scratchpads as the first one left them, and shares the work with a thread.
  sim::Machine machine(params);
  const std::string error = RunOn(program, 1, &machine, &first);
  Require(RunOn(program, 2, &machine, &second) == error, "a second run ends as the first one did");
  Require(second == first, "a second run computes what the first one did");
  if (error.empty()) ++accepted;
}

}  // namespace
}  // namespace tvm_vsq::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tvm_vsq::fuzz::TestProgram(tvm_vsq::fuzz::ParseProgramInput(data, size));
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
  std::mt19937 random(seed);
  if (random() % 4 == 0) return LLVMFuzzerMutate(data, size, max_size);
  tvm_vsq::fuzz::ProgramInput input = tvm_vsq::fuzz::ParseProgramInput(data, size);
  for (uint32_t left = 1 + random() % 3; left > 0; --left) tvm_vsq::fuzz::MutateProgram(&input, &random);
  const std::string bytes = tvm_vsq::fuzz::SerializeProgramInput(input);
  const size_t result = std::min(bytes.size(), max_size);
  std::memcpy(data, bytes.data(), result);
  return result;
}
