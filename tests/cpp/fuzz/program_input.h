// The bytes of the program target, and mutations that know what an instruction is.
#ifndef TESTS_CPP_FUZZ_PROGRAM_INPUT_H_
#define TESTS_CPP_FUZZ_PROGRAM_INPUT_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "tvm_vsq/isa/isa.h"

namespace tvm_vsq::fuzz {

// Serialized: config u8, DRAM bytes u32, count u16, for each instruction its bytes and a layer id u8, and the
// image.
struct ProgramInput {
  static constexpr uint64_t kMaxDramBytes = 1 << 16, kMaxInstructions = 512;

  size_t config = 0;  // index into Configs()
  uint64_t dram_bytes = 0;
  std::vector<isa::Word> words;
  std::vector<uint8_t> layers;  // one for each word
  std::vector<uint8_t> image;   // at most dram_bytes
};

ProgramInput ParseProgramInput(const uint8_t* data, size_t size);
std::string SerializeProgramInput(const ProgramInput& input);

// Changes a field or a token, or moves, copies or removes an instruction.
void MutateProgram(ProgramInput* input, std::mt19937* random);

}  // namespace tvm_vsq::fuzz

#endif  // TESTS_CPP_FUZZ_PROGRAM_INPUT_H_
